//! Addresses in a configuration.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use serde::{Serialize, Serializer};

/// Where the portal listens: `127.0.0.1:8080`, `[::]:443`, `localhost:8080`, `:8080` for every address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

/// Why a text is not a [`Listen`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an address to listen on; write an IP address and a port, such as `127.0.0.1:8080`"
)]
pub struct InvalidListen(String);

impl Listen {
    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))
    }
}

impl FromStr for Listen {
    type Err = InvalidListen;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = s.parse() {
            return Ok(Self(address));
        }
        let port = |text: &str| text.parse::<u16>().map_err(|_| InvalidListen(s.into()));
        match s.rsplit_once(':') {
            Some(("localhost", number)) => Ok(Self((Ipv4Addr::LOCALHOST, port(number)?).into())),
            Some(("" | "*", number)) => Ok(Self((Ipv4Addr::UNSPECIFIED, port(number)?).into())),
            _ => Err(InvalidListen(s.into())),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A range of addresses, `10.0.0.0/8`; an address alone is the range of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    /// Leading bits that count.
    prefix: u8,
}

/// Why a text is not a [`Cidr`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a range of addresses; write one such as `10.0.0.0/8` or `fd00::/8`")]
pub struct InvalidCidr(String);

impl Cidr {
    /// Whether `address` is inside. An IPv4 address in IPv6 clothes counts as the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(range), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                range.to_bits().checked_shr(shift).unwrap_or(0)
                    == address.to_bits().checked_shr(shift).unwrap_or(0)
            }
            (IpAddr::V6(range), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                range.to_bits().checked_shr(shift).unwrap_or(0)
                    == address.to_bits().checked_shr(shift).unwrap_or(0)
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidCidr(s.into());
        let (address, prefix) = match s.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (s, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(text) => text.parse().map_err(|_| invalid())?,
        };
        if prefix > most {
            Err(invalid())
        } else {
            Ok(Self { address, prefix })
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        let table = [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("localhost:0", "127.0.0.1:0", true),
            ("[::1]:443", "[::1]:443", true),
            ("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:80", "0.0.0.0:80", false),
            (":8080", "0.0.0.0:8080", false),
            ("*:8080", "0.0.0.0:8080", false),
            ("[::]:443", "[::]:443", false),
        ];
        for (text, shown, loopback) in table {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(
                (listen.to_string().as_str(), listen.is_loopback()),
                (shown, loopback)
            );
        }
        for text in ["", "8080", "127.0.0.1", "example.org:80", "127.0.0.1:99999"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_hold_their_addresses() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("fd00::/8", "fdab::1", true),
            ("::/0", "2001:db8::1", true),
        ];
        for (range, address, inside) in table {
            let range: Cidr = range.parse().unwrap();
            assert_eq!(
                range.contains(address.parse().unwrap()),
                inside,
                "{range} {address}"
            );
        }
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "proxy.local",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
