//! Problems (RFC 9457), for clients that are no browsers and for requests that reach no page.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    body::Body,
    headers::{NO_STORE, NOSNIFF},
    origin::REQUEST_ID,
};

/// What was wrong, and what to do.
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    #[serde(rename = "type")]
    type_: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    instance: &'a str,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(status: StatusCode, code: &'a str, detail: &'a str) -> Self {
        Self {
            type_: format!("urn:portico:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail,
            code,
            instance: "",
            more: Map::new(),
        }
    }

    /// Names the request it is about.
    #[must_use]
    pub(crate) fn of(mut self, request_id: &'a str) -> Self {
        self.instance = request_id;
        self
    }

    /// Adds a field.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn response(self) -> Response<Body> {
        self.response_with(&[])
    }

    pub(crate) fn response_with(self, headers: &[(HeaderName, HeaderValue)]) -> Response<Body> {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let into = response.headers_mut();
        into.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        into.insert(header::CACHE_CONTROL, NO_STORE);
        into.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if let Ok(id) = HeaderValue::from_str(self.instance)
            && !id.is_empty()
        {
            into.insert(REQUEST_ID, id);
        }
        for (name, value) in headers {
            into.insert(name, value.clone());
        }
        response
    }
}
