//! A registry behind a web server, through the egress rules.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use portico_egress::{Egress, EgressRules, TracingAudit};
use portico_host::SystemClock;
use portico_registry::{MemoryFloor, Registry};

use crate::fixture::{NOW, Origin, seen};

/// Serves a folder as any web server would; answers its address and what was asked for.
fn serve(folder: &Path) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!(
        "http://127.0.0.1:{}/reg/",
        listener.local_addr().unwrap().port()
    );
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (folder, log): (PathBuf, _) = (folder.to_owned(), Arc::clone(&asked));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            log.lock().unwrap().push(path.clone());
            let body = path
                .strip_prefix("/reg/")
                .and_then(|p| fs::read(folder.join(p)).ok());
            let (status, body) = match body {
                Some(body) => ("200 OK", body),
                None => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&body));
        }
    });
    (address, asked)
}

fn egress() -> Egress {
    Egress::new(
        EgressRules::default(),
        Arc::new(SystemClock),
        Arc::new(TracingAudit),
    )
    .unwrap()
}

#[tokio::test]
async fn a_registry_is_read_with_six_requests_and_the_next_time_with_two() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let (address, asked) = serve(origin.folder());
    let egress = egress();
    egress.allow_url(&address);
    let floor = Arc::new(MemoryFloor::default());
    let registry = Registry::open("o", &address, &origin.root(), floor, Arc::new(egress)).unwrap();
    let listing = registry.refresh(NOW).await.unwrap();
    assert_eq!(seen(&listing), ["logs 1.0.0"]);
    registry.fetch(&listing.releases[0]).await.unwrap();
    let names = |paths: &[String]| -> Vec<String> {
        paths
            .iter()
            .map(|p| p.rsplit('/').next().unwrap().to_owned())
            .collect()
    };
    let first = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(
        names(&first[..5]),
        [
            "2.root.json",
            "timestamp.json",
            "2.snapshot.json",
            "1.targets.json",
            "2.publisher.json"
        ]
    );
    assert!(first[5].ends_with(".logs-1.0.0.portico"), "{}", first[5]);
    registry.refresh(NOW).await.unwrap();
    assert_eq!(
        names(&asked.lock().unwrap()),
        ["2.root.json", "timestamp.json"]
    );
}

#[tokio::test]
async fn a_registry_inside_is_refused_unless_the_operator_named_it() {
    let origin = Origin::with(&["logs 1.0.0"]);
    let (address, asked) = serve(origin.folder());
    let floor = Arc::new(MemoryFloor::default());
    let registry =
        Registry::open("o", &address, &origin.root(), floor, Arc::new(egress())).unwrap();
    let error = registry.refresh(NOW).await.unwrap_err();
    assert_eq!(error.code(), "registry-unreachable");
    assert!(
        error.to_string().contains("allow the host by name"),
        "{error}"
    );
    assert!(asked.lock().unwrap().is_empty());
}
