//! The same events over a WebSocket: one text frame each.

use std::time::Duration;

use axum::extract::{
    FromRequestParts,
    ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
};
use bytes::Bytes;
use http::{Response, StatusCode, header, request::Parts};
use tokio::time::timeout;

use super::stream::{Ending, Next, Reader};
use crate::{
    body::Body, conditions::text, gateway::Gateway, metrics::Held, origin::Arrival,
    problem::Problem,
};

/// How long one frame may take to leave.
const SEND: Duration = Duration::from_secs(10);

/// Heartbeats without any sign of life from the other side.
const SILENT: u8 = 2;

/// Browsers send nothing; what others send is not read further.
const LARGEST_MESSAGE: usize = 4096;

pub(super) async fn serve(
    gateway: &Gateway,
    arrival: &Arrival,
    mut parts: Parts,
    mut reader: Reader,
) -> Response<Body> {
    // Browsers send cookies with WebSockets of any site, and always say of which.
    let origin = text(&parts.headers, &header::ORIGIN);
    if !origin.is_empty() && !origin.eq_ignore_ascii_case(&arrival.origin) {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "cross-origin",
            "a WebSocket can be opened only by pages of the portal itself",
        )
        .of(&arrival.request_id)
        .response();
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(refused) => {
            return Problem::new(refused.status(), "bad-upgrade", &refused.body_text())
                .of(&arrival.request_id)
                .response();
        }
    };
    reader.catch_up(gateway).await;
    let held = Held::new(&gateway.metrics().websocket_clients);
    let shed = gateway.metrics().clients_shed.clone();
    let open = gateway.streams().token();
    // The default read buffer of 128 KiB would be most of what a listener costs.
    upgrade
        .read_buffer_size(LARGEST_MESSAGE)
        .write_buffer_size(0)
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        .on_upgrade(move |mut socket| async move {
            let ending = converse(&mut socket, &mut reader).await;
            if ending == Some(Ending::TooSlow) {
                shed.inc();
            }
            if let Some(frame) = ending.map(close_frame) {
                let _ = timeout(SEND, socket.send(Message::Close(Some(frame)))).await;
            }
            drop((held, open));
        })
        .map(Body::stream)
}

/// Sends until something ends it; `None` when the other side left.
async fn converse(socket: &mut WebSocket, reader: &mut Reader) -> Option<Ending> {
    let mut silent = 0;
    loop {
        let message = tokio::select! {
            biased;
            received = socket.recv() => match received {
                None | Some(Err(_) | Ok(Message::Close(_))) => return None,
                Some(Ok(_)) => {
                    silent = 0;
                    continue;
                }
            },
            next = reader.next() => match next {
                Next::Frame(frame) => Message::Text(frame.json.clone()),
                Next::Heartbeat if silent == SILENT => return None,
                Next::Heartbeat => {
                    silent += 1;
                    Message::Ping(Bytes::new())
                }
                Next::End(ending) => return Some(ending),
            },
        };
        match timeout(SEND, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(Ending::TooSlow),
        }
    }
}

fn close_frame(ending: Ending) -> CloseFrame {
    let (code, reason) = match ending {
        Ending::Stopping => (1001, "the portal stops"),
        Ending::SignedOut => (1008, "signed out"),
        Ending::TooSlow => (1013, "too slow: come back with last_event_id"),
    };
    CloseFrame {
        code,
        reason: reason.into(),
    }
}
