use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use portico_gateway::{Body, Event, EventHub};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    portal::{LOCAL, World, tenant, world},
    serving::{SOON, config, connect, read_until, request, start},
};

fn event(seq: u64) -> Event {
    Event {
        seq: Some(seq),
        json: json!({"type": "microsite:installed", "seq": seq}).to_string(),
    }
}

fn hub(world: &World) -> std::sync::Arc<EventHub> {
    world.events.of(&tenant())
}

/// Opens a stream in-process.
async fn open(world: &World, headers: &[(&str, &str)], query: &str) -> (u16, Stream) {
    let mut request =
        Request::get(format!("/api/portal/events{query}")).header("host", "portal.example");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = world
        .gateway
        .handle(request.body(Empty::<Bytes>::new()).unwrap(), LOCAL)
        .await
        .unwrap();
    let status = response.status().as_u16();
    if status == 200 {
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(
            response.headers()["cache-control"],
            "no-store, no-transform"
        );
    }
    (status, Stream(response.into_body()))
}

struct Stream(Body);

impl Stream {
    /// The next chunk; `None` when the stream has ended.
    async fn next(&mut self) -> Option<String> {
        let frame = timeout(Duration::from_secs(60), self.0.frame())
            .await
            .expect("nothing came")?;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
    }

    /// Chunks until the one that says hello, without it.
    async fn until_hello(&mut self) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            let chunk = self.next().await.unwrap();
            if chunk.contains("event: hello\n") {
                return before;
            }
            before.push(chunk);
        }
    }
}

const ADMIN: (&str, &str) = ("cookie", "who=admin");

#[tokio::test]
async fn needs_sign_in() {
    let world = world();
    assert_eq!(open(&world, &[], "").await.0, 401);
    assert_eq!(
        open(&world, &[("authorization", "Bearer admin")], "")
            .await
            .0,
        200
    );
    assert_eq!(
        world
            .send("POST", "/api/portal/events", &[ADMIN], "")
            .await
            .status,
        405
    );
}

#[tokio::test]
async fn begins_with_where_history_stands_and_goes_on_live() {
    let world = world();
    hub(&world).resume(41, 7);
    let (_, mut stream) = open(&world, &[ADMIN], "").await;
    assert!(stream.next().await.unwrap().starts_with("retry: "));
    assert_eq!(
        stream.next().await.unwrap(),
        "id: 41\nevent: hello\ndata: {\"type\":\"hello\",\"generation\":7,\"seq\":41}\n\n"
    );
    hub(&world).publish(&event(42), 8);
    assert_eq!(
        stream.next().await.unwrap(),
        "id: 42\ndata: {\"seq\":42,\"type\":\"microsite:installed\"}\n\n"
    );
    hub(&world).publish(
        &Event {
            seq: None,
            json: "{\"percent\":50}".into(),
        },
        8,
    );
    assert_eq!(stream.next().await.unwrap(), "data: {\"percent\":50}\n\n");
}

#[tokio::test]
async fn replays_after_the_last_event_id() {
    let world = world();
    hub(&world).resume(10, 1);
    for seq in 11..=13 {
        hub(&world).publish(&event(seq), 1);
    }
    for (headers, query) in [
        (&[ADMIN, ("last-event-id", "11")][..], ""),
        (&[ADMIN], "?last_event_id=11"),
        (&[ADMIN, ("last-event-id", "11")], "?last_event_id=13"),
    ] {
        let (_, mut stream) = open(&world, headers, query).await;
        let replayed = stream.until_hello().await;
        assert_eq!(replayed.len(), 3, "retry and two events: {replayed:?}");
        assert!(
            replayed[1].starts_with("id: 12\n") && replayed[2].starts_with("id: 13\n"),
            "{replayed:?}"
        );
        drop(stream);
    }
}

#[tokio::test]
async fn older_events_come_from_the_store_once() {
    let world = world();
    hub(&world).resume(10, 1);
    *world.history.0.lock().unwrap() = Some((5..=11).map(event).collect());
    let (_, mut stream) = open(&world, &[ADMIN], "?last_event_id=8").await;
    let replayed = stream.until_hello().await;
    let ids: Vec<_> = replayed
        .iter()
        .filter_map(|c| c.strip_prefix("id: "))
        .map(|c| &c[..c.find('\n').unwrap()])
        .collect();
    assert_eq!(ids, ["9", "10", "11"]);
    // The store knew of 11 before the hub told it.
    hub(&world).publish(&event(11), 1);
    hub(&world).publish(&event(12), 1);
    assert!(stream.next().await.unwrap().starts_with("id: 12\n"));
}

#[tokio::test]
async fn what_cannot_be_replayed_is_said() {
    let world = world();
    hub(&world).resume(10, 3);
    for query in ["?last_event_id=8", "?last_event_id=99"] {
        let (_, mut stream) = open(&world, &[ADMIN], query).await;
        let before = stream.until_hello().await;
        assert_eq!(
            before[1],
            "id: 10\nevent: resync\ndata: {\"type\":\"resync\",\"generation\":3,\"seq\":10}\n\n"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_and_the_end_of_a_session() {
    let world = world();
    let (_, mut stream) = open(&world, &[ADMIN], "").await;
    stream.until_hello().await;
    let began = tokio::time::Instant::now();
    assert_eq!(
        stream.next().await.unwrap(),
        "event: heartbeat\ndata: {}\n\n"
    );
    assert_eq!(began.elapsed().as_secs(), 15);
    world.portal.everybody_out.store(true, Ordering::SeqCst);
    assert_eq!(
        stream.next().await,
        None,
        "the next heartbeat finds nobody signed in"
    );
}

#[tokio::test]
async fn a_revoked_session_ends_at_once_when_told() {
    let world = world();
    let (_, mut stream) = open(&world, &[ADMIN], "").await;
    stream.until_hello().await;
    hub(&world).recheck();
    hub(&world).publish(&event(1), 1);
    assert!(
        stream.next().await.unwrap().starts_with("id: 1\n"),
        "still signed in"
    );
    world.portal.everybody_out.store(true, Ordering::SeqCst);
    hub(&world).recheck();
    hub(&world).publish(&event(2), 1);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn slow_readers_are_shed_and_nobody_waits_for_them() {
    let world = world();
    let (_, mut slow) = open(&world, &[ADMIN], "").await;
    let (_, mut quick) = open(&world, &[ADMIN], "").await;
    slow.until_hello().await;
    quick.until_hello().await;
    for seq in 1..=300 {
        hub(&world).publish(&event(seq), 1);
        assert!(
            quick
                .next()
                .await
                .unwrap()
                .starts_with(&format!("id: {seq}\n"))
        );
    }
    assert_eq!(slow.next().await, None);
    let (_, mut back) = open(&world, &[ADMIN, ("last-event-id", "0")], "").await;
    assert_eq!(
        back.until_hello().await.len(),
        301,
        "nothing is lost to who comes back"
    );
    drop((slow, back));
    let text = world.gateway.metrics().text().unwrap();
    assert!(
        text.contains("portico_events_clients_shed_total 1"),
        "{text}"
    );
    assert!(
        text.contains("portico_events_clients{transport=\"sse\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn streams_end_when_the_portal_stops() {
    let world = world();
    let plane = start(&world, config());
    let mut stream = connect(&plane).await;
    stream
        .write_all(request("/api/portal/events", "").as_bytes())
        .await
        .unwrap();
    read_until(&mut stream, |text| text.contains("event: hello")).await;
    let mut socket = web_socket(&plane, "").await.unwrap();
    assert_eq!(next_text(&mut socket).await["type"], "hello");
    let stopped = timeout(SOON, plane.stop())
        .await
        .expect("streams hold the plane open");
    assert_eq!(stopped.cut, 0);
    assert!(
        read_until(&mut stream, |_| false)
            .await
            .ends_with("0\r\n\r\n"),
        "a whole answer"
    );
    let (opcode, payload) = next_frame(&mut socket).await;
    assert_eq!((opcode, &payload[..2]), (8, &1001_u16.to_be_bytes()[..]));
}

#[tokio::test]
async fn the_same_over_a_web_socket() {
    let world = world();
    let plane = start(&world, config());
    hub(&world).publish(&event(1), 1);
    hub(&world).publish(&event(2), 1);
    let mut socket = web_socket(&plane, "origin: http://portal.example\r\n")
        .await
        .unwrap();
    assert_eq!(
        next_text(&mut socket).await["seq"],
        2,
        "replayed after ?last_event_id=1"
    );
    assert_eq!(
        next_text(&mut socket).await,
        json!({"type": "hello", "generation": 1, "seq": 2})
    );
    hub(&world).publish(&event(3), 1);
    assert_eq!(
        next_text(&mut socket).await,
        json!({"type": "microsite:installed", "seq": 3})
    );
    world.portal.everybody_out.store(true, Ordering::SeqCst);
    hub(&world).recheck();
    let (opcode, payload) = next_frame(&mut socket).await;
    assert_eq!((opcode, &payload[..2]), (8, &1008_u16.to_be_bytes()[..]));
    drop(socket);
    plane.stop().await;
    assert!(
        world
            .gateway
            .metrics()
            .text()
            .unwrap()
            .contains("portico_events_clients{transport=\"websocket\"} 0")
    );
}

#[tokio::test]
async fn web_sockets_of_other_sites_are_refused() {
    let world = world();
    let plane = start(&world, config());
    let refused = web_socket(&plane, "origin: http://evil.example\r\n")
        .await
        .unwrap_err();
    assert!(
        refused.starts_with("HTTP/1.1 403 ") && refused.contains("cross-origin"),
        "{refused}"
    );
    world.portal.everybody_out.store(true, Ordering::SeqCst);
    let refused = web_socket(&plane, "").await.unwrap_err();
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    plane.stop().await;
}

/// Opens a WebSocket that has seen event 1; the refusal when there is one.
async fn web_socket(plane: &portico_gateway::DataPlane, more: &str) -> Result<TcpStream, String> {
    let mut stream = connect(plane).await;
    let upgrade = format!(
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}"
    );
    let path = if more.contains("portal.example") {
        "/api/portal/events?last_event_id=1"
    } else {
        "/api/portal/events"
    };
    stream
        .write_all(request(path, &upgrade).as_bytes())
        .await
        .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(
            timeout(SOON, stream.read_u8())
                .await
                .expect("no answer")
                .unwrap(),
        );
    }
    let head = String::from_utf8(head).unwrap();
    if head.starts_with("HTTP/1.1 101 ") {
        assert!(
            head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{head}"
        );
        Ok(stream)
    } else {
        Err(head + &read_until(&mut stream, |text| text.ends_with('}')).await)
    }
}

/// Opcode and payload of a short, unmasked frame.
async fn next_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let frame = async {
        let opcode = stream.read_u8().await? & 15;
        let length = stream.read_u8().await?;
        assert!(length < 126, "a short frame");
        let mut payload = vec![0; length.into()];
        stream.read_exact(&mut payload).await?;
        std::io::Result::Ok((opcode, payload))
    };
    timeout(SOON, frame).await.expect("no frame came").unwrap()
}

async fn next_text(stream: &mut TcpStream) -> Value {
    let (opcode, payload) = next_frame(stream).await;
    assert_eq!(opcode, 1);
    serde_json::from_slice(&payload).unwrap()
}
