//! The one function that reads from elsewhere.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use portico_host::{Clock, Fetch, FetchError};
use rustls::ClientConfig;
use url::{Host, Url};

use crate::{
    address::{Reach, reach},
    audit::{Attempt, AuditSink, Outcome},
    connect::{Stream, connect, encrypt, tls_config},
    resolve::{Resolve, SystemResolver},
    rules::{EgressRules, normalise_host},
};

/// Longest URL that is taken, bytes.
const MAX_URL: usize = 4096;

/// Largest head of an answer, bytes.
const MAX_HEAD: usize = 32 * 1024;

/// Keys in the rate limiter after which idle ones are forgotten.
const LIMITER_KEYS: usize = 4096;

/// Why there is no [`Egress`].
#[derive(Debug, thiserror::Error)]
#[error("outbound TLS cannot be set up: {0}. Check the extra certificate authorities")]
pub struct EgressError(#[from] rustls::Error);

/// Outbound reads under rules. Share it behind an `Arc`.
pub struct Egress {
    allowed: RwLock<BTreeSet<(String, Option<u16>)>>,
    allow_loopback: bool,
    resolver: Arc<dyn Resolve>,
    tls: Arc<ClientConfig>,
    limiter: DefaultKeyedRateLimiter<String>,
    clock: Arc<dyn Clock>,
    audit: Arc<dyn AuditSink>,
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress")
            .field("allow_loopback", &self.allow_loopback)
            .finish_non_exhaustive()
    }
}

impl Egress {
    /// Reads under `rules`, with the machine's resolver.
    pub fn new(
        rules: EgressRules,
        clock: Arc<dyn Clock>,
        audit: Arc<dyn AuditSink>,
    ) -> Result<Self, EgressError> {
        let tls = tls_config(&rules.extra_roots)?;
        let allowed = rules
            .allow_private_hosts
            .iter()
            .map(|(host, port)| (normalise_host(host), *port))
            .collect();
        Ok(Self {
            allowed: RwLock::new(allowed),
            allow_loopback: rules.allow_loopback,
            resolver: Arc::new(SystemResolver),
            tls,
            limiter: RateLimiter::keyed(Quota::per_minute(rules.per_minute)),
            clock,
            audit,
        })
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Lets `host` stand for an address inside: for names that the operator wrote down (a registry's
    /// URL in the configuration, `trust add`). Never call it with a name from elsewhere.
    pub fn allow_host(&self, host: &str, port: Option<u16>) {
        self.allowed
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((normalise_host(host), port));
    }

    /// [`Egress::allow_host`] for the host and port of a URL that the operator wrote down. Nothing
    /// happens for what is not an `http` or `https` URL.
    pub fn allow_url(&self, url: &str) {
        if let Ok(url) = Url::parse(url)
            && let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
        {
            self.allow_host(host, Some(port));
        }
    }

    fn is_granted(&self, host: &str, port: u16) -> bool {
        let host = normalise_host(host);
        let allowed = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        allowed.contains(&(host.clone(), Some(port))) || allowed.contains(&(host, None))
    }

    /// Whether `address` may be reached for `host`.
    fn check(&self, address: IpAddr, granted: bool) -> Result<(), String> {
        match reach(address) {
            Reach::Public => Ok(()),
            Reach::Inside(_) if granted => Ok(()),
            Reach::Inside("loopback") if self.allow_loopback => Ok(()),
            Reach::Inside(what) => Err(format!(
                "{address} is {what}; an operator can allow the host by name in the configuration"
            )),
            Reach::Never(what) => Err(format!("{address} is {what}")),
        }
    }

    async fn attempt(
        &self,
        who: &str,
        url: &str,
        limit: u64,
        timeout: Duration,
        seen: &mut Seen,
    ) -> Result<Bytes, FetchError> {
        let target = Target::parse(url)?;
        seen.url.clone_from(&target.shown);
        let refused = |reason: String| FetchError::Refused {
            url: target.shown.clone(),
            reason,
        };

        // Before the name is resolved: a look-up is already a message to somebody.
        if self.limiter.len() > LIMITER_KEYS {
            self.limiter.retain_recent();
        }
        if self
            .limiter
            .check_key(&format!("{who}\n{}", target.name))
            .is_err()
        {
            return Err(refused(
                "too many attempts in a minute; try again later".into(),
            ));
        }

        let work = async {
            let granted = self.is_granted(&target.name, target.port);
            let addresses = match target.literal {
                Some(ip) => vec![ip],
                None => self
                    .resolver
                    .resolve(&target.name, target.port)
                    .await
                    .map_err(|e| failed(&target, format!("the name does not resolve: {e}")))?,
            };
            if addresses.is_empty() {
                return Err(failed(&target, "the name has no address".into()));
            }
            // One bad address condemns the name: who mixes public and private answers is probing.
            for &address in &addresses {
                self.check(address, granted).map_err(refused)?;
            }
            let (stream, address) = connect(&addresses, target.port)
                .await
                .map_err(|e| failed(&target, format!("cannot connect: {e}")))?;
            seen.address = Some(address);
            let stream: Box<dyn Stream> = if target.tls {
                encrypt(stream, &target.name, &self.tls)
                    .await
                    .map_err(|e| failed(&target, format!("TLS: {e}")))?
            } else {
                Box::new(stream)
            };
            read(stream, &target, limit, &mut seen.bytes).await
        };
        match tokio::time::timeout(timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(failed(&target, format!("not finished within {timeout:?}"))),
        }
    }
}

#[async_trait]
impl Fetch for Egress {
    async fn get(
        &self,
        who: &str,
        url: &str,
        limit: u64,
        timeout: Duration,
    ) -> Result<Bytes, FetchError> {
        let at = self.clock.now();
        let started = self.clock.instant();
        let mut seen = Seen::default();
        let result = self.attempt(who, url, limit, timeout, &mut seen).await;
        let (outcome, reason) = match &result {
            Ok(_) => (Outcome::Ok, None),
            Err(FetchError::Refused { reason, .. }) => (Outcome::Refused, Some(reason.clone())),
            Err(FetchError::NotFound { .. }) => (Outcome::NotFound, None),
            Err(FetchError::TooLarge { limit, .. }) => {
                (Outcome::TooLarge, Some(format!("more than {limit} bytes")))
            }
            Err(FetchError::Failed { reason, .. }) => (Outcome::Failed, Some(reason.clone())),
        };
        self.audit.record(Attempt {
            at,
            who: who.to_owned(),
            url: seen.url,
            address: seen.address,
            outcome,
            reason,
            bytes: seen.bytes,
            took: self.clock.instant().saturating_duration_since(started),
        });
        result
    }
}

/// What an attempt got to, for its audit record.
#[derive(Default)]
struct Seen {
    url: String,
    address: Option<IpAddr>,
    bytes: u64,
}

/// A checked URL.
struct Target {
    /// Without user information, query and fragment.
    shown: String,
    /// Host as in `Host:` and SNI, without brackets.
    name: String,
    /// Host and port as in `Host:`.
    authority: String,
    /// Path and query.
    path: String,
    port: u16,
    tls: bool,
    literal: Option<IpAddr>,
}

impl Target {
    fn parse(text: &str) -> Result<Self, FetchError> {
        let short = || text.chars().take(200).collect::<String>();
        let refused = |url: String, reason: &str| FetchError::Refused {
            url,
            reason: reason.into(),
        };
        if text.len() > MAX_URL {
            return Err(refused(short(), "the URL is too long"));
        }
        let url = Url::parse(text).map_err(|e| FetchError::Refused {
            url: short(),
            reason: format!("not a URL: {e}"),
        })?;
        let mut shown = url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        // Both fail only for URLs that cannot have them.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        let shown = shown.to_string();
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(refused(shown, "only http and https are spoken")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(
                shown,
                "a URL with a user name or password is not taken",
            ));
        }
        let (name, literal) = match url.host() {
            Some(Host::Domain(name)) => (name.to_owned(), None),
            // The parser has already turned decimal, octal, hexadecimal and short forms into an address.
            Some(Host::Ipv4(ip)) => (ip.to_string(), Some(IpAddr::V4(ip))),
            Some(Host::Ipv6(ip)) => (ip.to_string(), Some(IpAddr::V6(ip))),
            None => return Err(refused(shown, "the URL has no host")),
        };
        let port = url
            .port_or_known_default()
            .unwrap_or(if tls { 443 } else { 80 });
        let host = url.host_str().unwrap_or_default();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self {
            shown,
            name,
            authority,
            path,
            port,
            tls,
            literal,
        })
    }
}

fn failed(target: &Target, reason: String) -> FetchError {
    FetchError::Failed {
        url: target.shown.clone(),
        reason,
    }
}

/// Sends the request and reads the body, on this task: when the caller goes, so does the connection.
async fn read(
    stream: Box<dyn Stream>,
    target: &Target,
    limit: u64,
    bytes: &mut u64,
) -> Result<Bytes, FetchError> {
    let fail = |e: hyper::Error| failed(target, format!("HTTP: {e}"));
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(fail)?;
    let exchange = async {
        let request = Request::get(&target.path)
            .header(header::HOST, &target.authority)
            .header(
                header::USER_AGENT,
                concat!("portico/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::ACCEPT, "*/*")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|e| failed(target, format!("HTTP: {e}")))?;
        let response = sender.send_request(request).await.map_err(fail)?;
        check_head(&response, target, limit)?;
        let mut body = response.into_body();
        let mut out = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(fail)?.into_data() else {
                continue;
            };
            *bytes += data.len() as u64;
            if *bytes > limit {
                return Err(FetchError::TooLarge {
                    url: target.shown.clone(),
                    limit,
                });
            }
            out.extend_from_slice(&data);
        }
        Ok(out.freeze())
    };
    // The exchange decides; the connection only has to be driven until it is over. An error of the
    // connection also reaches the exchange, so it is not reported twice.
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    let mut open = true;
    loop {
        tokio::select! {
            biased;
            result = &mut exchange => return result,
            _ = &mut connection, if open => open = false,
        }
    }
}

fn check_head<B>(
    response: &http::Response<B>,
    target: &Target,
    limit: u64,
) -> Result<(), FetchError> {
    let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN | StatusCode::GONE => {
            return Err(FetchError::NotFound {
                url: target.shown.clone(),
            });
        }
        status if status.is_redirection() => {
            // A redirect would be a new address that nobody checked or wrote down.
            let to: String = header(header::LOCATION)
                .unwrap_or("somewhere else")
                .chars()
                .take(200)
                .collect();
            return Err(failed(
                target,
                format!(
                    "answered {status} and points to {to}; redirects are not followed, use the final address"
                ),
            ));
        }
        status => return Err(failed(target, format!("answered {status}"))),
    }
    if header(header::CONTENT_ENCODING).is_some_and(|e| !e.eq_ignore_ascii_case("identity")) {
        return Err(failed(
            target,
            "answered with a content encoding that was not asked for".into(),
        ));
    }
    let length = header(header::CONTENT_LENGTH).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(FetchError::TooLarge {
            url: target.shown.clone(),
            limit,
        });
    }
    Ok(())
}
