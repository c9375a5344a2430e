//! Servers and resolvers that behave badly on purpose.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use portico_egress::{Attempt, AuditSink, Egress, EgressRules, Resolve};
use portico_host::SystemClock;
use rustls::ServerConnection;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

pub(crate) const CA: &[u8] = include_bytes!("../fixtures/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../fixtures/server.pem");
const KEY: &[u8] = include_bytes!("../fixtures/server.key");

/// Answers every connection with the same bytes, and counts connections.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) connections: Arc<AtomicUsize>,
    /// Heads of the requests.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn answering(answer: &[u8]) -> Self {
        Self::start(answer.to_vec(), None)
    }

    pub(crate) fn over_tls(answer: &[u8]) -> Self {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self::start(answer.to_vec(), Some(Arc::new(config)))
    }

    fn start(answer: Vec<u8>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, heads) = (Arc::clone(&connections), Arc::clone(&requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let (answer, tls, heads) = (answer.clone(), tls.clone(), Arc::clone(&heads));
                thread::spawn(move || {
                    let _ = match tls {
                        None => serve(stream, &answer, &heads),
                        Some(config) => {
                            let session = ServerConnection::new(config).unwrap();
                            serve(rustls::StreamOwned::new(session, stream), &answer, &heads)
                        }
                    };
                });
            }
        });
        Self {
            port,
            connections,
            requests,
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: impl Read + Write,
    answer: &[u8],
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    heads
        .lock()
        .unwrap()
        .push(String::from_utf8_lossy(&head).into_owned());
    stream.write_all(answer)?;
    stream.flush()?;
    if answer.is_empty() {
        // A server that takes the request and says nothing.
        thread::sleep(Duration::from_secs(30));
    }
    Ok(())
}

/// Answers what a test says, one answer after the other; the last one is repeated.
#[derive(Default)]
pub(crate) struct Names(Mutex<HashMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    pub(crate) fn with(self, host: &str, answers: &[&[&str]]) -> Self {
        let answers = answers
            .iter()
            .map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect())
            .collect();
        self.0.lock().unwrap().insert(host.to_owned(), answers);
        self
    }
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, host: &str, _port: u16) -> io::Result<Vec<IpAddr>> {
        let mut names = self.0.lock().unwrap();
        let answers = names
            .get_mut(host)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
        Ok(if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        })
    }
}

/// Keeps attempts.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Mutex<Vec<Attempt>>);

impl AuditSink for Kept {
    fn record(&self, attempt: Attempt) {
        self.0.lock().unwrap().push(attempt);
    }
}

pub(crate) fn egress(rules: EgressRules, names: Names) -> (Egress, Arc<Kept>) {
    let audit = Arc::new(Kept::default());
    let egress = Egress::new(rules, Arc::new(SystemClock), Arc::clone(&audit) as _)
        .unwrap()
        .with_resolver(Arc::new(names));
    (egress, audit)
}
