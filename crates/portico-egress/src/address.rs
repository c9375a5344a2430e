//! Which addresses may be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The open internet: always allowed.
    Public,
    /// Inside: private networks, loopback, carrier-grade NAT, unique-local. Allowed only for names that
    /// the operator granted.
    Inside(&'static str),
    /// Never a place to connect to: link-local (cloud metadata lives there), multicast, broadcast,
    /// reserved, documentation. Not grantable.
    Never(&'static str),
}

/// What kind of place `address` is.
///
/// IPv6 forms that carry an IPv4 address are judged by that address, and are at best
/// [`Reach::Inside`]: on an ordinary network no name of the open internet resolves to one, and a
/// translator could take the connection anywhere.
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => reach_v6(v6),
    }
}

fn reach_v4(a: Ipv4Addr) -> Reach {
    use Reach::{Inside, Never, Public};
    let [o0, o1, o2, _] = a.octets();
    match (o0, o1, o2) {
        (0, ..) => Never("\"this network\" (0.0.0.0/8)"),
        (127, ..) => Inside("loopback"),
        (10, ..) | (192, 168, _) => Inside("a private network"),
        (172, 16..=31, _) => Inside("a private network"),
        (100, 64..=127, _) => Inside("carrier-grade NAT (100.64.0.0/10)"),
        (169, 254, _) => Never("link-local, where cloud metadata lives"),
        (192, 0, 0) => Never("reserved for protocols (192.0.0.0/24)"),
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Never("reserved for documentation"),
        (192, 88, 99) => Never("a 6to4 relay"),
        (198, 18..=19, _) => Never("reserved for benchmarks"),
        (224..=239, ..) => Never("multicast"),
        (240..=255, ..) => Never("reserved or broadcast"),
        _ => Public,
    }
}

fn reach_v6(a: Ipv6Addr) -> Reach {
    use Reach::{Inside, Never, Public};
    if a == Ipv6Addr::LOCALHOST {
        return Inside("loopback");
    }
    if a == Ipv6Addr::UNSPECIFIED {
        return Never("the unspecified address");
    }
    let s = a.segments();
    // Forms that carry an IPv4 address.
    match s {
        [0, 0, 0, 0, 0, 0xffff, hi, lo] => return embedded(hi, lo, "an IPv4-mapped address"),
        [0, 0, 0, 0, 0, 0, hi, lo] => return embedded(hi, lo, "an IPv4-compatible address"),
        [0, 0, 0, 0, 0xffff, 0, hi, lo] => {
            return embedded(hi, lo, "an IPv4-translated address");
        }
        [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => return embedded(hi, lo, "a NAT64 address"),
        [0x64, 0xff9b, 1, ..] => return Never("a local NAT64 address"),
        [0x2002, hi, lo, ..] => return embedded(hi, lo, "a 6to4 address"),
        _ => {}
    }
    match s[0] {
        0xfc00..=0xfdff => Inside("unique-local (fc00::/7)"),
        0xfe80..=0xfebf => Never("link-local"),
        0xfec0..=0xfeff => Never("site-local"),
        0xff00..=0xffff => Never("multicast"),
        // 2001::/23 holds Teredo, ORCHID and benchmarks; 2001:db8::/32 and 3fff::/20 documentation.
        0x2001 if s[1] < 0x200 => Never("reserved for protocols (2001::/23)"),
        0x2001 if s[1] == 0xdb8 => Never("reserved for documentation"),
        0x3fff if s[1] < 0x1000 => Never("reserved for documentation"),
        0x2000..=0x3fff => Public,
        _ => Never("not a global address"),
    }
}

fn embedded(hi: u16, lo: u16, what: &'static str) -> Reach {
    let [a, b] = hi.to_be_bytes();
    let [c, d] = lo.to_be_bytes();
    match reach_v4(Ipv4Addr::new(a, b, c, d)) {
        Reach::Never(why) => Reach::Never(why),
        Reach::Public | Reach::Inside(_) => Reach::Inside(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match reach(text.parse().unwrap()) {
            Reach::Public => "public",
            Reach::Inside(_) => "inside",
            Reach::Never(_) => "never",
        }
    }

    #[test]
    fn every_special_range_is_recognised_at_its_edges() {
        let table = [
            (
                "public",
                "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255",
            ),
            (
                "public",
                "128.0.0.1 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.167.1.1",
            ),
            (
                "public",
                "192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255",
            ),
            (
                "public",
                "2606:4700::1111 2a00:1450:4001::1 2001:200::1 2003::1 3ffe::1",
            ),
            (
                "inside",
                "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255",
            ),
            (
                "inside",
                "127.0.0.1 127.255.255.254 100.64.0.0 100.127.255.255 ::1 fc00::1 fdff::1",
            ),
            (
                "inside",
                "::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1",
            ),
            (
                "inside",
                "::8.8.8.8 ::ffff:0:8.8.8.8 64:ff9b::10.0.0.1 2002:7f00:1::",
            ),
            (
                "never",
                "0.0.0.0 0.1.2.3 169.254.169.254 192.0.0.1 192.0.2.1 198.51.100.1 203.0.113.9",
            ),
            (
                "never",
                "192.88.99.1 198.18.0.1 198.19.255.255 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255",
            ),
            (
                "never",
                ":: fe80::1 febf::1 fec0::1 ff02::1 2001::1 2001:1ff::1 2001:db8::1 3fff:fff::1",
            ),
            (
                "never",
                "100::1 4000::1 5f00::1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::",
            ),
            (
                "never",
                "64:ff9b:1::1 ::ffff:0.0.0.0 ::ffff:255.255.255.255",
            ),
        ];
        for (expected, addresses) in table {
            for address in addresses.split(' ') {
                assert_eq!(kind(address), expected, "{address}");
            }
        }
    }
}
