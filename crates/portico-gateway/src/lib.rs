//! The data plane: request → tenant → route → permission → back end → response.
//!
//! [`Gateway`] answers requests from what is [`Live`]: one immutable snapshot of routes, started back
//! ends and prepared files by archive digest. [`DataPlane`] is the run-time topology around it: one
//! single-threaded runtime per core, each with its own listener on the same address. [`EventHubs`]
//! carry what happened to every open browser.
//!
//! Nothing here reads a database, and nothing on the path of a file takes a lock. What the gateway
//! cannot know by itself (who somebody is, the portal's own API) it asks of the [`Portal`] port.

mod assets;
mod body;
mod conditions;
mod encode;
pub mod events;
mod gateway;
mod headers;
mod intent;
mod live;
pub mod metrics;
mod normalize;
mod origin;
mod page;
mod page_data;
mod ports;
mod problem;
mod random;
mod range;
mod sealed;
pub mod serve;

pub use body::Body;
pub use conditions::wanted_languages;
pub use events::{Event, EventHub, EventHubs, EventSource};
pub use gateway::{Gateway, GatewayConfig, GatewayParts, Handling};
pub use live::{Live, StaleGeneration};
pub use metrics::Metrics;
pub use origin::{Arrival, Cidr, ConnInfo, InvalidCidr};
pub use ports::{Portal, Session};
pub use serve::{DataPlane, ServeConfig, ServeError, Stopped, tls::TlsFiles};
