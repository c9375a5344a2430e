//! One listener: what it missed, then what happens, until it must stop.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, Method, Response, StatusCode, header, request::Parts};
use portico_plan::TenantId;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use super::{
    hub::{Backlog, Event, Frame, Signal},
    sse, websocket,
};
use crate::{
    body::Body, conditions::text, gateway::Gateway, headers::LAST_EVENT_ID, origin::Arrival,
    ports::Portal, problem::Problem,
};

/// A stream in which nothing happens says so this often, and proves again that its reader is signed in.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// Answers `/api/portal/events`: server-sent events, or a WebSocket for who asks to upgrade.
pub(crate) async fn serve(gateway: &Gateway, arrival: &Arrival, parts: Parts) -> Response<Body> {
    if parts.method != Method::GET {
        return Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "events are read with GET",
        )
        .of(&arrival.request_id)
        .response_with(&[(header::ALLOW, http::HeaderValue::from_static("GET"))]);
    }
    let reader = Reader::new(gateway, arrival, &parts);
    if !reader.may_listen() {
        return Problem::new(
            StatusCode::UNAUTHORIZED,
            "sign-in-required",
            "sign in, or send an API token as `Authorization: Bearer …`",
        )
        .of(&arrival.request_id)
        .response();
    }
    if text(&parts.headers, &header::UPGRADE).eq_ignore_ascii_case("websocket") {
        websocket::serve(gateway, arrival, parts, reader).await
    } else {
        let mut reader = reader;
        reader.catch_up(gateway).await;
        sse::serve(gateway, arrival, reader)
    }
}

/// What is to be sent next.
#[derive(Debug)]
pub(crate) enum Next {
    Frame(Arc<Frame>),
    Heartbeat,
    End(Ending),
}

/// Why a stream ends. Readers come back with the id of the last event that they saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Stopping,
    SignedOut,
    TooSlow,
}

/// One listener.
pub(crate) struct Reader {
    tenant: TenantId,
    waiting: VecDeque<Arc<Frame>>,
    /// What the store answered reaches up to here.
    seen: u64,
    last: Option<u64>,
    signals: Option<Receiver<Signal>>,
    heartbeat: Interval,
    stop: CancellationToken,
    portal: Arc<dyn Portal>,
    /// The part of the request that says who reads.
    credentials: Parts,
}

impl Reader {
    fn new(gateway: &Gateway, arrival: &Arrival, parts: &Parts) -> Self {
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            tenant: arrival.tenant.clone(),
            waiting: VecDeque::new(),
            seen: 0,
            last: last_event_id(parts),
            signals: None,
            heartbeat,
            stop: gateway.streams_stop().clone(),
            portal: Arc::clone(gateway.portal()),
            credentials: credentials(parts, arrival),
        }
    }

    /// Whether the reader is (still) signed in.
    pub(crate) fn may_listen(&self) -> bool {
        self.portal
            .identify(&self.credentials, &self.tenant)
            .identity
            .is_signed_in()
    }

    /// Begins to listen: queues what was missed and says where history stands.
    pub(crate) async fn catch_up(&mut self, gateway: &Gateway) {
        let subscription = gateway.events().of(&self.tenant).subscribe(self.last);
        self.signals = Some(subscription.signals);
        match subscription.backlog {
            Backlog::Frames(frames) => self.waiting.extend(frames),
            Backlog::Older(last) => match gateway.event_source().after(&self.tenant, last).await {
                Some(events) => {
                    self.seen = events.iter().filter_map(|e| e.seq).max().unwrap_or(0);
                    self.waiting
                        .extend(events.iter().map(|event| Arc::new(Frame::new(event))));
                }
                None => self.waiting.push_back(self.notice(
                    "resync",
                    subscription.head,
                    subscription.generation,
                )),
            },
            Backlog::Unknown => {
                self.waiting.push_back(self.notice(
                    "resync",
                    subscription.head,
                    subscription.generation,
                ));
            }
        }
        let head = subscription.head.max(self.seen);
        self.waiting
            .push_back(self.notice("hello", head, subscription.generation));
    }

    fn notice(&self, name: &str, seq: u64, generation: u64) -> Arc<Frame> {
        let json = format!("{{\"type\":\"{name}\",\"generation\":{generation},\"seq\":{seq}}}");
        Arc::new(Frame::named(
            name,
            &Event {
                seq: Some(seq),
                json,
            },
        ))
    }

    /// What comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(frame) = self.waiting.pop_front() {
                return Next::Frame(frame);
            }
            let Some(signals) = &mut self.signals else {
                return Next::End(Ending::Stopping);
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Next::End(Ending::Stopping),
                signal = signals.recv() => match signal {
                    Ok(Signal::Frame(frame)) if frame.seq.is_some_and(|seq| seq <= self.seen) => {}
                    Ok(Signal::Frame(frame)) => return Next::Frame(frame),
                    Ok(Signal::Recheck) if self.may_listen() => {}
                    Ok(Signal::Recheck) => return Next::End(Ending::SignedOut),
                    Err(RecvError::Lagged(_)) => return Next::End(Ending::TooSlow),
                    Err(RecvError::Closed) => return Next::End(Ending::Stopping),
                },
                _ = self.heartbeat.tick() => {
                    return if self.may_listen() { Next::Heartbeat } else { Next::End(Ending::SignedOut) };
                }
            }
        }
    }
}

/// The header that browsers send when they come back, or the query parameter for who cannot set headers.
fn last_event_id(parts: &Parts) -> Option<u64> {
    let header = text(&parts.headers, &LAST_EVENT_ID);
    let query = || {
        parts
            .uri
            .query()?
            .split('&')
            .find_map(|pair| pair.strip_prefix("last_event_id="))
    };
    if header.is_empty() {
        query()?.parse().ok()
    } else {
        header.parse().ok()
    }
}

/// A copy of the request that is small enough to be kept for hours.
fn credentials(parts: &Parts, arrival: &Arrival) -> Parts {
    let (mut kept, ()) = http::Request::new(()).into_parts();
    kept.uri = http::Uri::from_static("/api/portal/events");
    kept.headers = HeaderMap::with_capacity(2);
    for name in [header::COOKIE, header::AUTHORIZATION, header::HOST] {
        let name: HeaderName = name;
        for value in parts.headers.get_all(&name) {
            kept.headers.append(&name, value.clone());
        }
    }
    kept.extensions.insert(arrival.clone());
    kept
}
