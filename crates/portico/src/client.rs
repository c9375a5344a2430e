//! A small HTTP client for the portal that the person names.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use crate::{
    cli::Connection,
    exit::{FAILED, Failure, REFUSED, UNREACHABLE},
};

/// Longest that a command waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// One portal.
pub(crate) struct Client {
    base: Url,
    token: Option<String>,
    tls: Option<tokio_rustls::TlsConnector>,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    pub(crate) fn new(connection: &Connection) -> Result<Self, Failure> {
        let base = Url::parse(&connection.url).map_err(|e| {
            Failure::new(
                UNREACHABLE,
                format!("`{}` is not an address: {e}", connection.url),
            )
        })?;
        let tls = match base.scheme() {
            "http" => None,
            "https" => Some(connector(connection.ca.as_deref())?),
            other => {
                return Err(Failure::new(
                    UNREACHABLE,
                    format!("`{other}:` is not spoken here: use http or https"),
                ));
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::failed)?;
        Ok(Self {
            base,
            token: connection.token.clone(),
            tls,
            runtime,
        })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::GET, path, None, &[]).map(|(_, v)| v)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send(Method::DELETE, path, None, &[]).map(|(_, v)| v)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.send(Method::POST, path, Some(body), &[])
            .map(|(_, v)| v)
    }

    /// Sends a request; a status of 400 and above is a [`Failure`] that carries the problem.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<(StatusCode, Value), Failure> {
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(TIMEOUT, self.exchange(method, path, body, headers))
                .await
                .unwrap_or_else(|_| Err(self.unreachable("no answer within two minutes")))
        });
        let (status, bytes) = answer?;
        let value: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
        };
        if status.is_client_error() || status.is_server_error() {
            return Err(failure(status, value));
        }
        Ok((status, value))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<(StatusCode, Bytes), Failure> {
        let host = self.base.host_str().unwrap_or_default().to_owned();
        let port = self.base.port_or_known_default().unwrap_or(80);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        #[expect(
            clippy::disallowed_methods,
            reason = "the person at the terminal names this address"
        )]
        let tcp = tokio::net::TcpStream::connect((bare, port))
            .await
            .map_err(|e| self.unreachable(e))?;
        let authority = if self.base.port().is_some() {
            format!("{host}:{port}")
        } else {
            host.clone()
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, authority);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = body
            .map(|b| serde_json::to_vec(b).unwrap_or_default())
            .unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(bytes)))
            .map_err(Failure::failed)?;
        match &self.tls {
            None => self.over(tcp, request).await,
            Some(tls) => {
                let name = rustls_pki_types::ServerName::try_from(bare.to_owned())
                    .map_err(|e| self.unreachable(e))?;
                let stream = tls
                    .connect(name, tcp)
                    .await
                    .map_err(|e| self.unreachable(e))?;
                self.over(stream, request).await
            }
        }
    }

    async fn over<S>(
        &self,
        stream: S,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.unreachable(e))?;
        let exchange = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(|e| self.unreachable(e))?;
            let status = response.status();
            let bytes = response
                .into_body()
                .collect()
                .await
                .map_err(|e| self.unreachable(e))?
                .to_bytes();
            Ok((status, bytes))
        };
        tokio::pin!(exchange, connection);
        tokio::select! {
            answer = &mut exchange => answer,
            // The connection ending early makes the exchange end, which says why.
            _ = &mut connection => exchange.await,
        }
    }

    fn unreachable(&self, error: impl std::fmt::Display) -> Failure {
        Failure::new(
            UNREACHABLE,
            format!("the portal at {} cannot be reached: {error}", self.base),
        )
        .note("Is it running? Name another with --url or PORTICO_URL.")
    }
}

fn failure(status: StatusCode, value: Value) -> Failure {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = text("detail")
        .or_else(|| text("title"))
        .unwrap_or_else(|| status.to_string());
    let exit = match status.as_u16() {
        400..=499 => REFUSED,
        503 => UNREACHABLE,
        _ => FAILED,
    };
    let mut failure = Failure::new(exit, message);
    if let Some(code) = text("code") {
        failure = failure.note(format!("code: {code}"));
    }
    if status == StatusCode::UNAUTHORIZED {
        failure = failure.note("Make a token with `portico token new --admin --quiet --data portico-data` and pass it with --token or PORTICO_TOKEN.");
    }
    for refusal in value
        .get("refusals")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .skip(1)
    {
        if let Some(message) = refusal.get("message").and_then(Value::as_str) {
            failure = failure.note(message);
        }
    }
    failure.problem = Some(value);
    failure
}

fn connector(ca: Option<&Path>) -> Result<tokio_rustls::TlsConnector, Failure> {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = ca {
        for certificate in CertificateDer::pem_file_iter(path).map_err(Failure::failed)? {
            roots
                .add(certificate.map_err(Failure::failed)?)
                .map_err(Failure::failed)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Failure::failed)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tokio_rustls::TlsConnector::from(Arc::new(config)))
}
