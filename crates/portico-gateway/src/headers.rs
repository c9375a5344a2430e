//! Header names and fixed sets of headers.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub(crate) const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
pub(crate) const HX_REQUEST_TYPE: HeaderName = HeaderName::from_static("hx-request-type");
pub(crate) const HX_HISTORY: HeaderName = HeaderName::from_static("hx-history-restore-request");
pub(crate) const HX_CURRENT_URL: HeaderName = HeaderName::from_static("hx-current-url");
pub(crate) const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
pub(crate) const HX_TRIGGER: HeaderName = HeaderName::from_static("hx-trigger");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// What every document carries besides its policies, request id and length.
pub(crate) static DOCUMENT: LazyLock<HeaderMap> = LazyLock::new(|| {
    let mut headers = HeaderMap::with_capacity(16);
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::VARY,
            "HX-Request, HX-Request-Type, Accept-Encoding, Accept-Language, Cookie",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
});
