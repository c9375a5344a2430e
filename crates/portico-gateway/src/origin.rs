//! Where a request comes from, and where it believes to be: peer, proxies, scheme, host.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use http::{HeaderMap, HeaderName, Uri, header};
use portico_plan::TenantId;

use crate::{conditions::text, random};

/// What the listener knows of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnInfo {
    /// The other side of the socket.
    pub peer: IpAddr,
    /// Whether this process ended TLS.
    pub tls: bool,
}

/// What is known of a request when it arrives. Stands in the extensions of every request that the
/// [`Portal`](crate::Portal) sees, instead of forwarding headers, which are removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Whose portal.
    pub tenant: TenantId,
    /// `x-request-id`: 32 hexadecimal digits.
    pub request_id: Arc<str>,
    /// The client's address; a proxy's word is taken only from trusted ones.
    pub client: IpAddr,
    /// `scheme://host[:port]` as the browser sees it.
    pub origin: Arc<str>,
    /// Whether the browser speaks TLS, to this process or to a trusted proxy.
    pub secure: bool,
}

/// A range of addresses, such as `10.0.0.0/8` or `::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a [`Cidr`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address range: write an address such as `10.1.2.3`, or a range such as `10.0.0.0/8` or `fd00::/8`"
)]
pub struct InvalidCidr(pub String);

impl Cidr {
    /// Whether `address` is inside. An IPv4 address that came over an IPv6 socket counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(a)) => {
                same_prefix(net.to_bits().into(), a.to_bits().into(), self.prefix, 32)
            }
            (IpAddr::V6(net), IpAddr::V6(a)) => {
                same_prefix(net.to_bits(), a.to_bits(), self.prefix, 128)
            }
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, prefix: u8, width: u8) -> bool {
    (a ^ b).checked_shr(u32::from(width - prefix)).unwrap_or(0) == 0
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCidr(s.to_owned());
        let (address, prefix) = s.split_once('/').map_or((s, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), |p| p.parse().map_err(|_| invalid()))?;
        if prefix <= width {
            Ok(Self { address, prefix })
        } else {
            Err(invalid())
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// What is to be trusted about forwarded requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    pub(crate) proxies: Vec<Cidr>,
    /// `server.public_url` without a path: decides the scheme when its host is asked for.
    pub(crate) public_origin: Option<Arc<str>>,
}

/// Headers by which proxies speak of the client. Never passed on: what is believed stands in [`Arrival`].
const FORWARDING: [HeaderName; 7] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
    REQUEST_ID,
];

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request says of itself, as far as it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Lower case, without port.
    pub(crate) host: String,
    pub(crate) origin: Arc<str>,
    pub(crate) secure: bool,
    pub(crate) client: IpAddr,
    pub(crate) request_id: Arc<str>,
}

/// The `Host` is missing or is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadHost;

impl Trust {
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|range| range.contains(peer))
    }

    /// Reads host, scheme, client and request id. Forwarding headers count only from trusted peers.
    pub(crate) fn read(
        &self,
        conn: ConnInfo,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Told, BadHost> {
        let [_, forwarded_for, forwarded_host, forwarded_proto, ..] = &FORWARDING;
        let trusted = self.trusts(conn.peer);
        let forwarded = |name| trusted.then(|| last_item(headers, name)).flatten();

        let authority = forwarded(forwarded_host)
            .or_else(|| uri.authority().map(|a| a.as_str()))
            .or_else(|| headers.get(header::HOST)?.to_str().ok())
            .ok_or(BadHost)?;
        let authority = authority.to_ascii_lowercase();
        let host = host_of(&authority).ok_or(BadHost)?.to_owned();

        let public = self.public_origin.as_ref().filter(|origin| {
            origin
                .split_once("://")
                .is_some_and(|(_, public)| public == authority)
        });
        let secure = conn.tls
            || forwarded(forwarded_proto).is_some_and(|p| p.eq_ignore_ascii_case("https"))
            || public.is_some_and(|origin| origin.starts_with("https://"));
        let scheme = if secure { "https" } else { "http" };

        Ok(Told {
            origin: format!("{scheme}://{authority}").into(),
            host,
            secure,
            client: if trusted {
                self.client(conn.peer, headers, forwarded_for)
            } else {
                conn.peer
            },
            request_id: forwarded(&REQUEST_ID)
                .and_then(known_id)
                .unwrap_or_else(random::hex32),
        })
    }

    /// The last address of `x-forwarded-for` that is not one of our own proxies: everything left of it
    /// may be invented.
    fn client(&self, peer: IpAddr, headers: &HeaderMap, forwarded_for: &HeaderName) -> IpAddr {
        let mut client = peer;
        for value in headers.get_all(forwarded_for).iter().rev() {
            for item in value.to_str().unwrap_or_default().rsplit(',') {
                let Some(address) = address_of(item.trim()) else {
                    return client;
                };
                client = address;
                if !self.trusts(address) {
                    return client;
                }
            }
        }
        client
    }
}

/// Takes away what only trusted proxies may say, once it was read.
pub(crate) fn strip_forwarding(headers: &mut HeaderMap) {
    for name in &FORWARDING {
        headers.remove(name);
    }
}

/// Proxies append: the last item is what the nearest one saw.
fn last_item<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value
        .rsplit(',')
        .next()
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address_of(item: &str) -> Option<IpAddr> {
    let item = item.trim_matches('"');
    item.parse()
        .ok()
        .or_else(|| item.parse::<std::net::SocketAddr>().ok().map(|a| a.ip()))
        .or_else(|| item.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

/// The host of `host[:port]`, if it is made of what hosts are made of (it ends up in policies and links).
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            rest[..end].parse::<std::net::Ipv6Addr>().ok()?;
            (&authority[..end + 2], &rest[end + 1..])
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let host = &authority[..end];
            let ok = (1..=253).contains(&host.len())
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
            (ok.then_some(host)?, &authority[end..])
        }
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let ok = port.is_empty()
        || (digits.len() <= 5 && digits.parse::<u16>().is_ok() && port.len() > digits.len());
    ok.then_some(host)
}

/// 32 hexadecimal digits, with or without the dashes of a UUID.
fn known_id(id: &str) -> Option<Arc<str>> {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    let ok = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    ok.then(|| digits.to_ascii_lowercase().into())
}

/// Whether a browser says that the request comes from a page of this very origin.
pub(crate) fn is_same_origin(headers: &HeaderMap, origin: &str) -> bool {
    match text(headers, &HeaderName::from_static("sec-fetch-site")) {
        "same-origin" => true,
        "" => text(headers, &header::ORIGIN).eq_ignore_ascii_case(origin),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in of {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn conn(peer: &str) -> ConnInfo {
        ConnInfo {
            peer: peer.parse().unwrap(),
            tls: false,
        }
    }

    fn trust(ranges: &[&str]) -> Trust {
        Trust {
            proxies: ranges.iter().map(|r| r.parse().unwrap()).collect(),
            public_origin: None,
        }
    }

    #[test]
    fn ranges() {
        let range: Cidr = "10.0.0.0/8".parse().unwrap();
        for (address, inside) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.1.1.1", true),
            ("::1", false),
        ] {
            assert_eq!(
                range.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("203.0.113.9".parse().unwrap())
        );
        assert!(
            "::/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("2001:db8::1".parse().unwrap())
        );
        assert!(
            "192.0.2.1"
                .parse::<Cidr>()
                .unwrap()
                .contains("192.0.2.1".parse().unwrap())
        );
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "localhost",
            "10.0.0.0/x",
        ] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn forged_headers_count_for_nothing() {
        let forged = headers(&[
            ("host", "portal.example:8080"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("x-request-id", "0123456789abcdef0123456789abcdef"),
        ]);
        let told = trust(&["10.0.0.0/8"])
            .read(conn("192.0.2.66"), &Uri::from_static("/"), &forged)
            .unwrap();
        assert_eq!(told.client.to_string(), "192.0.2.66");
        assert_eq!(&*told.origin, "http://portal.example:8080");
        assert_eq!(told.host, "portal.example");
        assert!(!told.secure);
        assert_ne!(&*told.request_id, "0123456789abcdef0123456789abcdef");
    }

    #[test]
    fn trusted_proxies_are_believed_up_to_the_first_stranger() {
        let sent = headers(&[
            ("host", "internal:8080"),
            ("x-forwarded-for", "1.1.1.1, 203.0.113.7"),
            ("x-forwarded-for", "10.9.9.9"),
            ("x-forwarded-proto", "http, https"),
            ("x-forwarded-host", "Portal.Example"),
            ("x-request-id", "01234567-89ab-cdef-0123-456789ABCDEF"),
        ]);
        let told = trust(&["10.0.0.0/8"])
            .read(conn("10.0.0.1"), &Uri::from_static("/"), &sent)
            .unwrap();
        assert_eq!(
            told.client.to_string(),
            "203.0.113.7",
            "1.1.1.1 may be invented by the client"
        );
        assert_eq!(&*told.origin, "https://portal.example");
        assert_eq!(&*told.request_id, "0123456789abcdef0123456789abcdef");
    }

    #[test]
    fn public_url_decides_the_scheme_of_its_own_host_only() {
        let trust = Trust {
            public_origin: Some("https://portal.example".into()),
            ..Trust::default()
        };
        let read = |host| {
            trust
                .read(
                    conn("192.0.2.1"),
                    &Uri::from_static("/"),
                    &headers(&[("host", host)]),
                )
                .unwrap()
        };
        assert_eq!(&*read("portal.example").origin, "https://portal.example");
        assert_eq!(&*read("localhost:7070").origin, "http://localhost:7070");
    }

    #[test]
    fn hosts() {
        for (authority, host) in [
            ("localhost", Some("localhost")),
            ("a.b-c:80", Some("a.b-c")),
            ("[::1]:8080", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("", None),
            (":80", None),
            ("a:", None),
            ("a:99999", None),
            ("a:8x", None),
            ("a b", None),
            ("a;script-src *", None),
            ("a'", None),
            ("[::1", None),
            ("[x]", None),
            ("[::1]8080", None),
            ("user@host", None),
        ] {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn same_origin() {
        let own = "https://portal.example";
        for (of, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://portal.example"),
                ],
                false,
            ),
            (&[("origin", "https://portal.example")], true),
            (&[("origin", "https://portal.example.evil.example")], false),
            (&[("origin", "null")], false),
            (&[], false),
        ] {
            assert_eq!(is_same_origin(&headers(of), own), expected, "{of:?}");
        }
    }
}
