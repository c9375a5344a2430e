use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portico_gateway::{DataPlane, ServeConfig, ServeError, TlsFiles};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{
    portal::{World, world},
    serving::{config, connect, start},
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/fixtures")
        .join(name)
}

fn with_tls() -> ServeConfig {
    let files = TlsFiles {
        certificate: fixture("portal.test-cert.pem"),
        key: fixture("portal.test-key.pem"),
    };
    ServeConfig {
        tls: Some(files),
        ..config()
    }
}

/// Takes any certificate and remembers nothing: what is tested is the server.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &aws_lc_rs::default_provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &aws_lc_rs::default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

async fn handshake(
    plane: &DataPlane,
    protocols: &[&str],
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let mut client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let stream = connect(plane).await;
    tokio_rustls::TlsConnector::from(Arc::new(client))
        .connect(ServerName::try_from("portal.example").unwrap(), stream)
        .await
        .unwrap()
}

fn shop() -> Request<Empty<Bytes>> {
    Request::get("https://portal.example/shop")
        .header("cookie", "who=admin")
        .body(Empty::new())
        .unwrap()
}

#[tokio::test]
async fn http2_for_who_offers_it() {
    let world: World = world();
    let plane = start(&world, with_tls());
    let stream = handshake(&plane, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::task::spawn(connection);
    let (one, two) = (
        sender.send_request(shop()),
        sender.clone().send_request(shop()),
    );
    for response in [one.await.unwrap(), two.await.unwrap()] {
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, Version::HTTP_2)
        );
        let policy = response
            .headers()
            .get_all("content-security-policy")
            .iter()
            .next_back()
            .unwrap()
            .clone();
        assert_eq!(policy, "script-src https://portal.example/assets/");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.ends_with(b"plain for admin</p>"));
    }
    let head = Request::head("https://portal.example/shop")
        .header("cookie", "who=admin")
        .body(Empty::new())
        .unwrap();
    let response = sender.send_request(head).await.unwrap();
    assert_ne!(response.headers()["content-length"], "0");
    assert!(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );

    assert_eq!(
        plane.stop().await.cut,
        0,
        "an idle HTTP/2 connection says goodbye"
    );
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn http1_for_who_does_not() {
    let world = world();
    let plane = start(&world, with_tls());
    for protocols in [&["http/1.1"][..], &[]] {
        let stream = handshake(&plane, protocols).await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::task::spawn(connection);
        let request = Request::get("/shop")
            .header("host", "portal.example")
            .header("cookie", "who=admin")
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, Version::HTTP_11)
        );
        drop((response, sender));
        connection.await.unwrap().unwrap();
    }
    plane.stop().await;
}

#[tokio::test]
async fn plain_text_at_the_tls_port_disturbs_nobody() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = world();
    let plane = start(&world, with_tls());
    let mut plain = connect(&plane).await;
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    handshake(&plane, &[]).await;
    let text = world.gateway.metrics().text().unwrap();
    assert!(
        text.contains("portico_tls_handshakes_failed_total 1"),
        "{text}"
    );
    plane.stop().await;
}

#[tokio::test]
async fn certificates_are_replaced_while_serving() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    let install = |name: &str| {
        std::fs::copy(
            fixture(&format!("{name}.test-cert.pem")),
            &files.certificate,
        )
        .unwrap();
        std::fs::copy(fixture(&format!("{name}.test-key.pem")), &files.key).unwrap();
    };
    install("portal");
    let plane = start(
        &world,
        ServeConfig {
            tls: Some(files.clone()),
            ..config()
        },
    );
    let shown = async || {
        let stream = handshake(&plane, &[]).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown().await;
    install("other");
    plane.reload_tls().unwrap();
    let second = shown().await;
    assert_ne!(first, second);
    std::fs::write(&files.certificate, "nonsense").unwrap();
    let error = plane.reload_tls().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no certificate in this file"),
        "{error}"
    );
    assert_eq!(shown().await, second, "what is in use stays");
    plane.stop().await;
}

#[test]
fn unusable_files_are_named() {
    for (certificate, key, says) in [
        ("missing.pem", "portal.test-key.pem", "missing.pem"),
        (
            "portal.test-cert.pem",
            "missing.pem",
            "cannot read the private key",
        ),
        (
            "portal.test-cert.pem",
            "other.test-key.pem",
            "certificate and key do not fit",
        ),
        (
            "portal.test-key.pem",
            "portal.test-key.pem",
            "there is no certificate",
        ),
    ] {
        let files = TlsFiles {
            certificate: fixture(certificate),
            key: fixture(key),
        };
        let error = DataPlane::start(
            ServeConfig {
                tls: Some(files),
                ..config()
            },
            world().gateway,
        )
        .unwrap_err();
        assert!(matches!(error, ServeError::Tls { .. }));
        assert!(error.to_string().contains(says), "{error}");
    }
}
