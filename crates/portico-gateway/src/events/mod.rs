//! What happened, told to every open browser: kept for replay, encoded once, never waiting for a slow reader.

mod hub;
mod sse;
mod stream;
mod websocket;

pub use hub::{Event, EventHub, EventHubs, EventSource};

pub(crate) use stream::serve;
