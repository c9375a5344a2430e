//! Server-sent events.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};

use super::stream::{Ending, Next, Reader};
use crate::{
    body::Body, gateway::Gateway, headers::NOSNIFF, metrics::Held, origin::Arrival, random,
};

/// A comment is invisible to scripts; they watch this to know that the line still stands.
const HEARTBEAT: Bytes = Bytes::from_static(b"event: heartbeat\ndata: {}\n\n");

pub(super) fn serve(gateway: &Gateway, arrival: &Arrival, reader: Reader) -> Response<Body> {
    // Everybody loses the stream at the same moment when the portal restarts: spread their return.
    let retry = 1000 + u32::from(random::byte()) * 8;
    let first = Bytes::from(format!("retry: {retry}\n\n"));
    let held = Held::new(&gateway.metrics().sse_clients);
    let shed = gateway.metrics().clients_shed.clone();
    let open = gateway.streams().token();

    let stream = futures_util::stream::unfold(
        (Some(first), reader, (held, shed, open)),
        |(first, mut reader, held)| async move {
            if let Some(first) = first {
                return Some((Ok::<_, Infallible>(first), (None, reader, held)));
            }
            let bytes = match reader.next().await {
                Next::Frame(frame) => frame.sse.clone(),
                Next::Heartbeat => HEARTBEAT,
                Next::End(Ending::TooSlow) => {
                    held.1.inc();
                    return None;
                }
                Next::End(Ending::Stopping | Ending::SignedOut) => return None,
            };
            Some((Ok(bytes), (None, reader, held)))
        },
    );

    let mut response = Response::new(Body::stream(axum::body::Body::from_stream(stream)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    // nginx holds back what it proxies unless it is told not to.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    if let Ok(id) = HeaderValue::from_str(&arrival.request_id) {
        headers.insert(crate::origin::REQUEST_ID, id);
    }
    response
}
