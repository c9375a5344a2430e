//! Reading what may be read, and no more.

use std::time::{Duration, Instant};

use portico_egress::{EgressRules, Outcome};
use portico_host::{Fetch, FetchError};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::server::{CA, Names, Server, egress};

const SECOND: Duration = Duration::from_secs(5);

fn local() -> EgressRules {
    EgressRules {
        allow_loopback: true,
        ..EgressRules::default()
    }
}

fn names() -> Names {
    Names::default()
        .with("registry.test", &[&["127.0.0.1"]])
        .with("other.test", &[&["127.0.0.1"]])
}

async fn get(answer: &[u8], limit: u64) -> (Result<bytes::Bytes, FetchError>, Outcome, u64) {
    let server = Server::answering(answer);
    let (egress, audit) = egress(local(), names());
    let url = format!("http://registry.test:{}/a", server.port);
    let result = egress.get("registry:x", &url, limit, SECOND).await;
    let attempts = audit.0.lock().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].address, Some("127.0.0.1".parse().unwrap()));
    (result, attempts[0].outcome, attempts[0].bytes)
}

#[tokio::test]
async fn a_body_is_read_whole_and_the_request_says_little() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    let (egress, audit) = egress(local(), names());
    let url = format!("http://registry.test:{}/a%20b?c=d#e", server.port);
    assert_eq!(
        egress.get("registry:x", &url, 5, SECOND).await.unwrap(),
        "hello"
    );
    let requests = server.requests.lock().unwrap();
    assert!(
        requests[0].starts_with("GET /a%20b?c=d HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    let lower = requests[0].to_lowercase();
    assert!(
        lower.contains(&format!("host: registry.test:{}\r\n", server.port)),
        "{lower}"
    );
    assert!(
        !lower.contains("cookie") && !lower.contains("authorization"),
        "{lower}"
    );
    let attempts = audit.0.lock().unwrap();
    assert_eq!((attempts[0].outcome, attempts[0].bytes), (Outcome::Ok, 5));
    assert!(attempts[0].url.ends_with("/a%20b"), "{}", attempts[0].url);
}

#[tokio::test]
async fn more_than_the_limit_is_not_read_however_it_is_sent() {
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n123456";
    let (result, outcome, bytes) = get(announced, 5).await;
    assert!(
        matches!(result, Err(FetchError::TooLarge { limit: 5, .. })),
        "{result:?}"
    );
    assert_eq!((outcome, bytes), (Outcome::TooLarge, 0));

    let chunked =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n123\r\n3\r\n456\r\n0\r\n\r\n";
    assert_eq!(get(chunked, 6).await.0.unwrap(), "123456");
    assert!(matches!(
        get(chunked, 5).await.0,
        Err(FetchError::TooLarge { .. })
    ));

    let until_close = b"HTTP/1.1 200 OK\r\n\r\n123456";
    assert_eq!(get(until_close, 6).await.0.unwrap(), "123456");
    assert!(matches!(
        get(until_close, 5).await.0,
        Err(FetchError::TooLarge { .. })
    ));

    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123";
    assert!(matches!(
        get(short, 9).await.0,
        Err(FetchError::Failed { .. })
    ));
}

#[tokio::test]
async fn a_redirect_is_an_error_that_names_where_it_points() {
    let answer =
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let (result, outcome, _) = get(answer, 100).await;
    let message = result.unwrap_err().to_string();
    assert!(
        message.contains("http://169.254.169.254/") && message.contains("not followed"),
        "{message}"
    );
    assert_eq!(outcome, Outcome::Failed);
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_what_failed() {
    for status in ["404 Not Found", "403 Forbidden", "410 Gone"] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        let (result, outcome, _) = get(answer.as_bytes(), 100).await;
        assert!(
            matches!(result, Err(FetchError::NotFound { .. })),
            "{status}"
        );
        assert_eq!(outcome, Outcome::NotFound);
    }
    for status in ["500 Oops", "206 Partial Content", "204 No Content"] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        assert!(matches!(
            get(answer.as_bytes(), 100).await.0,
            Err(FetchError::Failed { .. })
        ));
    }
    let packed = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx";
    assert!(matches!(
        get(packed, 100).await.0,
        Err(FetchError::Failed { .. })
    ));
    let garbage = b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n";
    assert!(matches!(
        get(garbage, 100).await.0,
        Err(FetchError::Failed { .. })
    ));
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let answer = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'a'; 100_000]].concat();
    assert!(matches!(
        get(&answer, 100).await.0,
        Err(FetchError::Failed { .. })
    ));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let server = Server::answering(b"");
    let (egress, _) = egress(local(), names());
    let url = format!("http://registry.test:{}/", server.port);
    let started = Instant::now();
    let result = egress
        .get("registry:x", &url, 100, Duration::from_millis(300))
        .await;
    assert!(
        matches!(result, Err(FetchError::Failed { .. })),
        "{result:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn tls_is_verified_against_the_name_and_the_authorities() {
    let server = Server::over_tls(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let authority = CertificateDer::from_pem_slice(CA).unwrap();
    let trusting = EgressRules {
        extra_roots: vec![authority],
        ..local()
    };
    let url = |host: &str| format!("https://{host}:{}/", server.port);

    let (egress_trusting, _) = egress(trusting, names());
    let get = async |url: String| egress_trusting.get("registry:x", &url, 100, SECOND).await;
    assert_eq!(get(url("registry.test")).await.unwrap(), "ok");
    // The certificate is for another name.
    let error = get(url("other.test")).await.unwrap_err().to_string();
    assert!(error.contains("TLS"), "{error}");
    let error = get(url("127.0.0.1")).await.unwrap_err().to_string();
    assert!(error.contains("TLS"), "{error}");

    // Nobody here trusts the authority.
    let (egress, _) = egress(local(), names());
    let error = egress
        .get("registry:x", &url("registry.test"), 100, SECOND)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");
    assert_eq!(
        server
            .requests
            .lock()
            .unwrap()
            .iter()
            .filter(|r| !r.is_empty())
            .count(),
        1
    );
}
