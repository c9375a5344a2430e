use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use portico_gateway::{DataPlane, ServeConfig, ServeError};
use portico_host::asset::AssetSet;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::portal::{World, digest, world};

pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn config() -> ServeConfig {
    ServeConfig {
        threads: NonZeroUsize::new(2),
        ..ServeConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

pub(crate) fn start(world: &World, config: ServeConfig) -> DataPlane {
    DataPlane::start(config, world.gateway.clone()).unwrap()
}

pub(crate) async fn connect(plane: &DataPlane) -> TcpStream {
    TcpStream::connect(plane.addr()).await.unwrap()
}

/// A raw request of the administrator.
pub(crate) fn request(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: portal.example\r\ncookie: who=admin\r\n{more}\r\n")
}

/// Reads until `done` says that it is enough, the other side ends, or time is up.
pub(crate) async fn read_until(stream: &mut TcpStream, done: impl Fn(&str) -> bool) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    while !done(&String::from_utf8_lossy(&all)) {
        match timeout(SOON, stream.read(&mut buffer))
            .await
            .expect("nothing came")
        {
            Ok(0) | Err(_) => break,
            Ok(n) => all.extend_from_slice(&buffer[..n]),
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

async fn ask(plane: &DataPlane, path: &str) -> String {
    let mut stream = connect(plane).await;
    stream
        .write_all(request(path, "connection: close\r\n").as_bytes())
        .await
        .unwrap();
    read_until(&mut stream, |_| false).await
}

#[tokio::test]
async fn serves_on_every_thread() {
    let world = world();
    let plane = start(&world, config());
    assert_ne!(plane.addr().port(), 0);
    for _ in 0..32 {
        let answer = ask(&plane, "/shop").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("plain for admin"), "{answer}");
    }
    assert_eq!(plane.stop().await.cut, 0);
    let text = world.gateway.metrics().text().unwrap();
    assert!(
        text.contains("portico_http_requests_total{kind=\"page\",status=\"200\"} 32"),
        "{text}"
    );
    assert!(text.contains("portico_connections 0"), "{text}");
}

#[tokio::test]
async fn keeps_connections_and_answers_head() {
    let world = world();
    let plane = start(&world, config());
    let mut stream = connect(&plane).await;
    let file = format!("/assets/{}/style.css", digest().hex());
    for _ in 0..3 {
        stream
            .write_all(request(&file, "").as_bytes())
            .await
            .unwrap();
        let answer = read_until(&mut stream, |text| text.ends_with("body{}body{}")).await;
        assert!(answer.contains("content-length: 12\r\n"), "{answer}");
    }
    stream
        .write_all(request(&file, "").replace("GET", "HEAD").as_bytes())
        .await
        .unwrap();
    let answer = read_until(&mut stream, |text| text.ends_with("\r\n\r\n")).await;
    assert!(answer.contains("content-length: 12\r\n"), "{answer}");
    plane.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused_even_by_another_portal() {
    let world = world();
    let plane = start(&world, config());
    let twice = DataPlane::start(
        ServeConfig {
            listen: plane.addr(),
            ..config()
        },
        world.gateway.clone(),
    );
    match twice {
        Err(ServeError::Listen { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse)
        }
        other => panic!("{other:?}"),
    }
    plane.stop().await;
}

#[tokio::test]
async fn requests_in_flight_end_before_the_plane_does() {
    let world = world();
    let mut large = AssetSet::new();
    large.insert(
        "l".into(),
        portico_host::asset::Asset {
            bytes: vec![b'x'; 8 << 20].into(),
            gzip: None,
            brotli: None,
            content_type: "text/plain",
            etag: "\"l\"".into(),
        },
    );
    world.live.put_assets(digest(), &large);
    let plane = start(&world, config());
    let addr = plane.addr();
    let mut busy = connect(&plane).await;
    busy.write_all(request(&format!("/assets/{}/l", digest().hex()), "").as_bytes())
        .await
        .unwrap();
    let mut idle = connect(&plane).await;
    idle.write_all(request("/shop", "").as_bytes())
        .await
        .unwrap();
    read_until(&mut idle, |text| text.contains("plain for admin")).await;
    let mut first = [0; 1];
    busy.read_exact(&mut first).await.unwrap();

    let stopping = tokio::task::spawn(plane.stop());
    let goodbye = timeout(SOON, idle.read(&mut first))
        .await
        .expect("an idle connection is closed at once")
        .unwrap();
    assert_eq!(goodbye, 0);
    // The other thread has its own listener, and may still be busy with the file.
    let began = Instant::now();
    while TcpStream::connect(addr).await.is_ok() {
        assert!(began.elapsed() < SOON, "something listens still");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let rest = read_until(&mut busy, |_| false).await;
    assert!(rest.len() > 8 << 20, "{} bytes came", rest.len());
    assert_eq!(stopping.await.unwrap().cut, 0);
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let world = world();
    let plane = start(
        &world,
        ServeConfig {
            drain: Duration::from_millis(200),
            ..config()
        },
    );
    let mut stream = connect(&plane).await;
    stream
        .write_all(request("/shop/slow", "").as_bytes())
        .await
        .unwrap();
    while world
        .backend
        .started
        .load(std::sync::atomic::Ordering::SeqCst)
        == 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    assert_eq!(plane.stop().await.cut, 1);
    assert!(began.elapsed() < Duration::from_secs(3));
    let answer = read_until(&mut stream, |_| false).await;
    assert_eq!(answer, "");
}

#[tokio::test]
async fn heads_that_never_end_are_given_up() {
    let world = world();
    let plane = start(
        &world,
        ServeConfig {
            idle: Duration::from_millis(150),
            ..config()
        },
    );
    let mut slow = connect(&plane).await;
    let began = Instant::now();
    let mut closed = false;
    for byte in request("/shop", "").bytes().cycle() {
        // One byte at a time looks busy, but nothing gets done.
        if slow.write_all(&[byte.max(b'a')]).await.is_err() || began.elapsed() > SOON {
            closed = began.elapsed() <= SOON;
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(closed, "still open after {:?}", began.elapsed());
    plane.stop().await;
}

#[tokio::test]
async fn who_stops_reading_is_given_up() {
    let world = world();
    let plane = start(
        &world,
        ServeConfig {
            idle: Duration::from_millis(150),
            ..config()
        },
    );
    let mut stuck = connect(&plane).await;
    let file = format!("/assets/{}/large.bin", digest().hex());
    stuck
        .write_all(request(&file, "").as_bytes())
        .await
        .unwrap();
    let mut first = [0; 1];
    stuck.read_exact(&mut first).await.unwrap();
    let began = Instant::now();
    while plane.connections() > 0 {
        assert!(began.elapsed() < SOON, "still open");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        began.elapsed() >= Duration::from_millis(140),
        "cut after {:?}",
        began.elapsed()
    );
    plane.stop().await;
}

#[tokio::test]
async fn more_connections_than_allowed_are_turned_away() {
    let world = world();
    let plane = start(
        &world,
        ServeConfig {
            max_connections: 2,
            ..config()
        },
    );
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&plane).await;
        stream
            .write_all(request("/shop", "").as_bytes())
            .await
            .unwrap();
        read_until(&mut stream, |text| text.contains("plain for admin")).await;
        kept.push(stream);
    }
    let mut refused = connect(&plane).await;
    let answer = read_until(&mut refused, |_| false).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    kept.pop();
    let began = Instant::now();
    while plane.connections() > 1 {
        assert!(began.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ask(&plane, "/shop").await.starts_with("HTTP/1.1 200"));
    assert!(
        world
            .gateway
            .metrics()
            .text()
            .unwrap()
            .contains("portico_connections_refused_total 1")
    );
    plane.stop().await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let world = world();
    let plane = start(&world, config());
    let mut stream = connect(&plane).await;
    let large = format!("x-large: {}\r\n", "y".repeat(100 << 10));
    let _ = stream.write_all(request("/shop", &large).as_bytes()).await;
    let answer = read_until(&mut stream, |text| text.contains("\r\n\r\n")).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    assert!(ask(&plane, "/shop").await.starts_with("HTTP/1.1 200"));
    plane.stop().await;
}
