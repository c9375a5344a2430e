//! Ways to make a server reach where it should not. Each must end refused, with nothing sent.

use std::time::Duration;

use portico_egress::{EgressRules, Outcome};
use portico_host::{Fetch, FetchError};

use crate::server::{Names, Server, egress};

const SECOND: Duration = Duration::from_secs(1);

/// `PORT` stands for the port of a server that really listens on 127.0.0.1, so that a hole in the
/// rules shows as a connection and not only as a missing error.
const ATTACKS: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.1:PORT/",
    "http://0X7F.0.0.1:PORT/",
    "http://0177.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://127.127.127.127:PORT/",
    "http://%31%32%37.0.0.1:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://127。0。0。1:PORT/",
    "http://[::1]:PORT/",
    "http://[::]:PORT/",
    "http://[0000::1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::127.0.0.1]:PORT/",
    "http://[64:ff9b:1::127.0.0.1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://[fe80::1]:PORT/",
    "http://[fc00::1]:PORT/",
    "http://[ff02::1]:PORT/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://169.254.170.2/v2/credentials",
    "http://100.100.100.200/latest/meta-data/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://255.255.255.255/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    // Who reads what stands before the @ as the host is wrong about where this goes.
    "http://registry.example@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT@registry.example/",
    "http://user:secret@registry.example/",
    "http://registry.example:80@127.0.0.1:PORT/",
    "http://registry.example\\@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT\\@registry.example/",
    "http://127.0.0.1:PORT#@registry.example/",
    "http://127.0.0.1:PORT?@registry.example/",
    "http:///127.0.0.1:PORT/",
    "http:127.0.0.1:PORT/",
    "http://\t127.0.0.1:PORT/",
    "http://127.0.0.1\n:PORT/",
    // Names.
    "http://localhost:PORT/",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://loop.example:PORT/",
    "http://loop6.example:PORT/",
    "http://mapped.example:PORT/",
    "http://mixed.example:PORT/",
    "http://metadata.example/",
    // Not HTTP, or not a URL.
    "file:///etc/passwd",
    "ftp://registry.example/",
    "gopher://127.0.0.1:PORT/_GET",
    "unix:///run/docker.sock",
    "data:text/plain,hello",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT",
    "http://",
    "http://[127.0.0.1]:PORT/",
    "http://[::1/",
    "http://127.0.0.1]:PORT/",
    "http://[[::1]]:PORT/",
    "http://[::1]]:PORT/",
    "http://[::1%25lo]:PORT/",
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
    "http://registry.example:99999/",
    "",
];

fn names() -> Names {
    Names::default()
        .with("localhost", &[&["127.0.0.1", "::1"]])
        .with("localhost.", &[&["127.0.0.1"]])
        .with("loop.example", &[&["127.0.0.1"]])
        .with("loop6.example", &[&["::1"]])
        .with("mapped.example", &[&["::ffff:127.0.0.1"]])
        .with("mixed.example", &[&["93.184.215.14", "127.0.0.1"]])
        .with("metadata.example", &[&["169.254.169.254"]])
        .with("registry.example", &[&["127.0.0.1"]])
}

#[tokio::test]
async fn every_known_way_inside_is_refused_and_nothing_is_sent() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret");
    let (egress, audit) = egress(EgressRules::default(), names());
    for attack in ATTACKS {
        let url = attack.replace("PORT", &server.port.to_string());
        let result = egress.get("package:evil", &url, 1000, SECOND).await;
        assert!(
            matches!(result, Err(FetchError::Refused { .. })),
            "{url}: {result:?}"
        );
    }
    assert_eq!(server.connections(), 0);
    let attempts = audit.0.lock().unwrap();
    assert_eq!(attempts.len(), ATTACKS.len());
    for attempt in attempts.iter() {
        assert_eq!(attempt.outcome, Outcome::Refused, "{attempt:?}");
        assert!(
            attempt.address.is_none() && attempt.bytes == 0,
            "{attempt:?}"
        );
        assert!(!attempt.url.contains("secret"), "{attempt:?}");
    }
}

#[tokio::test]
async fn a_grant_for_one_name_and_port_is_for_nothing_else() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let (egress, _) = egress(EgressRules::default(), names());
    let port = server.port;
    egress.allow_host("Loop.Example.", Some(port));
    let get = async |url: String| egress.get("registry:x", &url, 100, SECOND).await;
    assert_eq!(
        get(format!("http://loop.example:{port}/")).await.unwrap(),
        "ok"
    );
    for other in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        "http://loop.example/".to_owned(),
        format!("http://sub.loop.example:{port}/"),
    ] {
        let result = get(other.clone()).await;
        assert!(
            matches!(
                result,
                Err(FetchError::Refused { .. } | FetchError::Failed { .. })
            ),
            "{other}: {result:?}"
        );
    }
    assert_eq!(server.connections(), 1);
    egress.allow_url(&format!("http://127.0.0.1:{port}/registry"));
    assert_eq!(
        get(format!("http://127.0.0.1:{port}/")).await.unwrap(),
        "ok"
    );
}

#[tokio::test]
async fn a_granted_name_still_cannot_stand_for_the_metadata_service() {
    let (egress, _) = egress(EgressRules::default(), names());
    for url in [
        "http://metadata.example/",
        "http://169.254.169.254/",
        "http://[fe80::1]/",
    ] {
        egress.allow_url(url);
        let result = egress.get("registry:x", url, 100, SECOND).await;
        assert!(
            matches!(result, Err(FetchError::Refused { .. })),
            "{url}: {result:?}"
        );
    }
}

/// The resolver answers a harmless address first and a private one afterwards. Since the name is
/// asked for once and the checked address is used, the second answer is never seen; the next attempt
/// sees it and is refused.
#[tokio::test]
async fn rebinding_a_name_between_check_and_use_changes_nothing() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let names = Names::default().with("rebind.example", &[&["192.0.2.1"], &["127.0.0.1"]]);
    let (egress, audit) = egress(EgressRules::default(), names);
    let url = format!("http://rebind.example:{}/", server.port);
    for _ in 0..2 {
        let result = egress.get("registry:x", &url, 100, SECOND).await;
        assert!(
            matches!(result, Err(FetchError::Refused { .. })),
            "{result:?}"
        );
    }
    assert_eq!(server.connections(), 0);
    let reasons: Vec<_> = audit
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|a| a.reason.clone().unwrap())
        .collect();
    assert!(
        reasons[0].contains("192.0.2.1") && reasons[1].contains("127.0.0.1"),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn too_many_attempts_in_a_minute_are_refused_per_reader_and_host() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let rules = EgressRules {
        per_minute: 3.try_into().unwrap(),
        allow_loopback: true,
        ..EgressRules::default()
    };
    let (egress, _) = egress(rules, names());
    let url = format!("http://loop.example:{}/", server.port);
    for _ in 0..3 {
        egress.get("a", &url, 100, SECOND).await.unwrap();
    }
    let result = egress.get("a", &url, 100, SECOND).await;
    assert!(
        matches!(result, Err(FetchError::Refused { .. })),
        "{result:?}"
    );
    egress.get("b", &url, 100, SECOND).await.unwrap();
    egress
        .get("a", &url.replace("loop.", "registry."), 100, SECOND)
        .await
        .unwrap();
}
