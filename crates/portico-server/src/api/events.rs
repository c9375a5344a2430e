//! The event stream. Served by the data plane; documented here.

use axum::response::Response;

use super::Caller;
use crate::problem::{Answer, Problem};

/// Events as server-sent events, or as WebSocket on upgrade.
///
/// `{"type":"microsite:installed","microsite_id":…,"version":…,"generation":…,"seq":…}`; types are
/// `microsite:installed|upgraded|rolled_back|disabled|enabled|uninstalled`, `config:reloaded` and, without
/// `seq`, `operation:progress`. `Last-Event-ID` (or `?last_event_id=`) replays what was missed; when that is no
/// longer there, one `resync` says so.
#[utoipa::path(get, path = "/api/portal/events", tag = "portal", operation_id = "streamEvents",
    params(("Last-Event-ID" = Option<String>, Header, description = "`seq` of the last event seen")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 101, description = "WebSocket"), (status = 401, body = Problem)))]
pub(super) async fn stream(_caller: Caller) -> Answer<Response> {
    Err(Problem::new(
        500,
        "internal",
        "events are served by the data plane; this request should not have come here",
    ))
}
