//! Plain HTTP/1.1: files that are answered before hyper hears of them, mixed with everything else.

use bytes::Bytes;
use portico_gateway::DataPlane;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    portal::{digest, world},
    serving::{SOON, config, connect, read_until, request, start},
};

fn file(name: &str) -> String {
    format!("/assets/{}/{name}", digest().hex())
}

/// One answer from a connection that goes on.
struct Answer {
    head: String,
    body: Bytes,
}

impl Answer {
    async fn read(stream: &mut TcpStream, has_body: bool) -> Self {
        let all = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.expect("an answer"));
            }
            let head = String::from_utf8(head).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; if has_body { length } else { 0 }];
            stream.read_exact(&mut body).await.unwrap();
            Self {
                head,
                body: body.into(),
            }
        };
        timeout(SOON, all).await.expect("no answer came")
    }

    fn status(&self) -> &str {
        &self.head[9..12]
    }
}

async fn send(plane: &DataPlane, text: &str) -> TcpStream {
    let mut stream = connect(plane).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn answers_keep_the_order_of_pipelined_requests() {
    let world = world();
    let plane = start(&world, config());
    let form =
        "content-type: application/x-www-form-urlencoded\r\norigin: http://portal.example\r\n";
    // What a form says must not be taken for a request.
    let inner = request(&file("style.css"), "");
    let post = request(
        "/shop",
        &format!("{form}content-length: {}\r\n", inner.len()),
    )
    .replace("GET", "POST")
        + &inner;
    let all = [
        request(&file("style.css"), ""),
        request("/shop", ""),
        request(&file("large.bin"), ""),
        post,
        request(&file("style.css"), "if-none-match: \"tag\"\r\n"),
        request(&file("style.css"), "").replace("GET", "HEAD"),
        request("/shop/big", ""),
        request(&file("nothing.css"), ""),
        request(&file("style.css"), "accept-encoding: br\r\n"),
        request("/api/portal/config", ""),
        request(&file("with%20space.txt"), ""),
        request(&file("large.bin"), "range: bytes=16777210-\r\n"),
        request(
            &file("large.bin"),
            &format!("range: bytes={}\r\n", "0-,".repeat(300)),
        ),
        request(&file("style.css"), "connection: close\r\n"),
    ]
    .concat();
    let mut stream = send(&plane, &all).await;
    let mut next = async |has_body| Answer::read(&mut stream, has_body).await;
    assert_eq!(next(true).await.body, "body{}body{}");
    assert!(String::from_utf8_lossy(&next(true).await.body).contains("plain for admin"));
    let large = next(true).await;
    assert!(large.body.len() == 16 << 20 && large.body.iter().all(|byte| *byte == 7));
    assert_eq!(next(true).await.status(), "405", "this page takes no form");
    assert_eq!(next(true).await.status(), "304");
    let head = next(false).await;
    assert!(
        head.head.contains("content-length: 12\r\n"),
        "{}",
        head.head
    );
    assert_eq!(next(true).await.status(), "200");
    assert_eq!(next(true).await.status(), "404");
    assert_eq!(next(true).await.body, "br");
    assert!(String::from_utf8_lossy(&next(true).await.body).starts_with("control GET"));
    assert_eq!(next(true).await.body, "x");
    let part = next(true).await;
    assert_eq!((part.status(), &part.body[..]), ("206", &[7; 6][..]));
    assert_eq!(
        next(true).await.body.len(),
        16 << 20,
        "not three hundred times"
    );
    let last = next(true).await;
    assert_eq!(last.body, "body{}body{}");
    assert!(last.head.contains("connection: close\r\n"), "{}", last.head);
    assert_eq!(read_until(&mut stream, |_| false).await, "");
    plane.stop().await;
}

#[tokio::test]
async fn many_pipelined_files_are_all_answered() {
    let world = world();
    let plane = start(&world, config());
    let mut stream = send(&plane, &request(&file("style.css"), "").repeat(500)).await;
    for _ in 0..500 {
        assert_eq!(Answer::read(&mut stream, true).await.body, "body{}body{}");
    }
    plane.stop().await;
    let text = world.gateway.metrics().text().unwrap();
    let counted = "portico_http_requests_total{kind=\"asset\",status=\"200\"} 500";
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn both_ways_say_the_same() {
    let world = world();
    let plane = start(&world, config());
    for name in ["style.css", "page.html", "large.bin"] {
        let whole = world.get(&file(name)).await;
        // The second time it may come from the kernel.
        for _ in 0..2 {
            let mut stream = send(&plane, &request(&file(name), "")).await;
            let plain = Answer::read(&mut stream, true).await;
            assert_eq!(plain.body, whole.body, "{name}");
            let mut said: Vec<_> = plain
                .head
                .lines()
                .skip(1)
                .filter(|l| !l.is_empty())
                .collect();
            said.retain(|line| !line.starts_with("date: "));
            said.sort_unstable();
            let mut expected: Vec<_> = whole
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .chain([format!("content-length: {}", whole.body.len())])
                .collect();
            expected.sort_unstable();
            assert_eq!(said, expected, "{name}");
        }
    }
    plane.stop().await;
}

#[tokio::test]
async fn heads_may_come_in_pieces() {
    let world = world();
    let plane = start(&world, config());
    let mut stream = connect(&plane).await;
    stream.set_nodelay(true).unwrap();
    for asked in [request(&file("style.css"), ""), request("/shop", "")] {
        for byte in asked.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(Answer::read(&mut stream, true).await.status(), "200");
    }
    // One and a half, then the other half and one more.
    let (one, other) = (request(&file("style.css"), ""), request("/shop", ""));
    let (half, rest) = other.split_at(20);
    stream
        .write_all((one.clone() + half).as_bytes())
        .await
        .unwrap();
    assert_eq!(Answer::read(&mut stream, true).await.body, "body{}body{}");
    stream
        .write_all((rest.to_owned() + &one).as_bytes())
        .await
        .unwrap();
    assert_eq!(Answer::read(&mut stream, true).await.status(), "200");
    assert_eq!(Answer::read(&mut stream, true).await.body, "body{}body{}");
    plane.stop().await;
}

#[tokio::test]
async fn who_says_nothing_more_still_gets_the_file() {
    let world = world();
    let plane = start(&world, config());
    for _ in 0..2 {
        let mut stream = send(&plane, &request(&file("large.bin"), "")).await;
        stream.shutdown().await.unwrap();
        assert_eq!(Answer::read(&mut stream, true).await.body.len(), 16 << 20);
        assert_eq!(read_until(&mut stream, |_| false).await, "", "and the end");
    }
    assert_eq!(plane.stop().await.cut, 0);
}

#[tokio::test]
async fn a_body_that_is_announced_belongs_to_its_request() {
    let world = world();
    let plane = start(&world, config());
    let more = format!("content-length: {}\r\n", 300_000);
    let mut stream = send(&plane, &request("/api/x", &more).replace("GET", "PUT")).await;
    let body = request(&file("style.css"), "").repeat(300_000 / 100 + 1);
    stream.write_all(&body.as_bytes()[..300_000]).await.unwrap();
    stream
        .write_all(request(&file("style.css"), "").as_bytes())
        .await
        .unwrap();
    let answer = Answer::read(&mut stream, true).await;
    assert_eq!(answer.body, "control PUT /api/x 300000");
    assert_eq!(Answer::read(&mut stream, true).await.body, "body{}body{}");
    let chunked = request("/api/y", "transfer-encoding: chunked\r\n").replace("GET", "PUT")
        + "3\r\nabc\r\n0\r\n\r\n"
        + &request(&file("style.css"), "");
    stream.write_all(chunked.as_bytes()).await.unwrap();
    assert_eq!(
        Answer::read(&mut stream, true).await.body,
        "control PUT /api/y 3"
    );
    assert_eq!(Answer::read(&mut stream, true).await.body, "body{}body{}");
    plane.stop().await;
}

#[tokio::test]
async fn a_file_that_is_being_read_slowly_survives_the_end_of_the_portal() {
    let world = world();
    let plane = start(&world, config());
    let warm = send(&plane, &request(&file("large.bin"), "")).await;
    drop(warm);
    let mut stream = send(&plane, &request(&file("large.bin"), "")).await;
    stream.read_u8().await.unwrap();
    let stopping = tokio::task::spawn(plane.stop());
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let mut rest = Vec::new();
    let reading = stream.read_to_end(&mut rest);
    timeout(SOON, reading).await.expect("no end").unwrap();
    assert!(rest.len() > 16 << 20, "{} bytes came", rest.len());
    assert_eq!(stopping.await.unwrap().cut, 0);
}
