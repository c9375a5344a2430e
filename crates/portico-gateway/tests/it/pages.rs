use std::{io::Read, sync::atomic::Ordering, time::Duration};

use portico_gateway::GatewayConfig;
use serde_json::json;

use crate::portal::{world, world_with};

#[tokio::test]
async fn a_document_carries_everything_that_belongs_to_it() {
    let world = world();
    let answer = world.get("/shop/").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        "<document csrf=\"csrf-token\" path=\"/shop/\" user=\"admin\">package shop title=\"Shop\" intent=\n<p>plain for admin</p>"
    );
    let policies: Vec<_> = answer
        .headers
        .get_all("content-security-policy")
        .iter()
        .map(|v| v.to_str().unwrap())
        .collect();
    assert!(
        policies[0].starts_with("script-src 'nonce-"),
        "{policies:?}"
    );
    assert_eq!(policies[1], "script-src http://portal.example/assets/");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        (
            "vary",
            "HX-Request, HX-Request-Type, Accept-Encoding, Accept-Language, Cookie",
        ),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert_eq!(answer.header("x-request-id").len(), 32);
    assert!(answer.header("permissions-policy").contains("camera=()"));
}

#[tokio::test]
async fn nonces_are_fresh_and_reach_policy_and_back_end() {
    let world = world();
    let (one, two) = (
        world.get("/shop/items/1").await,
        world.get("/shop/items/1").await,
    );
    let policy = |a: &crate::portal::Answer| {
        a.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(policy(&one), policy(&two));
    let nonce = policy(&one)
        .trim_start_matches("script-src 'nonce-")
        .trim_end_matches('\'')
        .to_owned();
    assert!(
        one.text().contains(&format!("\"nonce\":\"{nonce}\"")),
        "{}",
        one.text()
    );
    assert!(one.text().contains(&format!(
        "\"request_id\":\"{}\"",
        one.header("x-request-id")
    )));
}

#[tokio::test]
async fn who_is_not_signed_in_goes_to_sign_in() {
    let world = world();
    let html = [("accept", "text/html,*/*")];
    for path in ["/shop/items/1?a=b&c=d", "/resting", "/gone"] {
        let answer = world.send("GET", path, &html, "").await;
        let next = path
            .replace('?', "%3F")
            .replace('=', "%3D")
            .replace('&', "%26");
        assert_eq!(answer.status, 303, "{path}");
        assert_eq!(
            answer.header("location"),
            format!("/auth/sign-in?next={next}")
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let answer = world
        .send("GET", "/shop", &[("accept", "application/json")], "")
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].as_str()),
        (401, Some("sign-in-required"))
    );
    let answer = world.send("POST", "/shop/install", &html, "").await;
    assert_eq!(answer.status, 401);
    let htmx = [
        ("hx-request", "true"),
        ("hx-current-url", "http://portal.example/shop?x=1"),
    ];
    let answer = world.send("GET", "/shop/part", &htmx, "").await;
    assert_eq!(answer.status, 401);
    assert_eq!(
        answer.header("hx-redirect"),
        "/auth/sign-in?next=/shop%3Fx%3D1"
    );
    let elsewhere = [
        ("hx-request", "true"),
        ("hx-current-url", "http://portal.example.evil/x"),
    ];
    let answer = world.send("GET", "/shop/part", &elsewhere, "").await;
    assert_eq!(answer.header("hx-redirect"), "/auth/sign-in?next=/");
    assert_eq!(world.backend.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn permission_of_a_page() {
    let world = world();
    let answer = world
        .send(
            "GET",
            "/shop/secret",
            &[("cookie", "who=bob:shop:other")],
            "",
        )
        .await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().ends_with("forbidden shop:secret"),
        "{}",
        answer.text()
    );
    assert_eq!(world.backend.started.load(Ordering::SeqCst), 0);
    for who in ["who=bob:shop:secret", "who=bob:shop:*", "who=admin"] {
        assert_eq!(
            world
                .send("GET", "/shop/secret", &[("cookie", who)], "")
                .await
                .status,
            200,
            "{who}"
        );
    }
    let headers = [("cookie", "who=bob"), ("accept", "application/json")];
    assert_eq!(
        world.send("GET", "/shop/secret", &headers, "").await.json()["permission"],
        "shop:secret"
    );
}

#[tokio::test]
async fn parts_of_pages_for_htmx() {
    let world = world();
    let htmx = ("hx-request", "true");
    for (path, headers, starts) in [
        ("/shop", &[htmx][..], "<partial "),
        (
            "/shop",
            &[htmx, ("hx-request-type", "partial")],
            "<partial ",
        ),
        (
            "/shop",
            &[htmx, ("hx-history-restore-request", "true")],
            "<document ",
        ),
        ("/shop/part", &[htmx], "<p>plain"),
        (
            "/shop/part",
            &[htmx, ("hx-request-type", "partial")],
            "<p>plain",
        ),
        (
            "/shop/part",
            &[htmx, ("hx-request-type", "full")],
            "<partial ",
        ),
        ("/shop/part", &[], "<document "),
        ("/shop/nothing", &[htmx], "<partial "),
    ] {
        let answer = world.get_with(path, headers).await;
        assert!(
            answer.text().starts_with(starts),
            "{path} {headers:?}: {}",
            answer.text()
        );
        assert_eq!(
            answer
                .headers
                .get_all("content-security-policy")
                .iter()
                .count(),
            2
        );
    }
}

#[tokio::test]
async fn data_of_a_page() {
    let world = world();
    let answer = world
        .get_with(
            "/shop/data/a%26b?q=x+y",
            &[("accept-language", "de-CH, en;q=0.5")],
        )
        .await;
    let (head, body) = answer.text().split_once('\n').unwrap();
    assert!(head.contains(r#"title="Logs & more of a&b""#), "{head}");
    let seen: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(seen["query"], json!([["q", "x y"]]));
    assert_eq!(seen["languages"], json!(["de", "de-ch", "en"]));
    assert_eq!(
        seen["data"],
        json!([
            ["denied", {"error": {
                "code": "permission-missing", "status": 403, "message": "`api:things:read` is not granted",
            }}],
            ["item", {"name": "Logs & more"}],
        ])
    );
    assert_eq!(
        *world.dispatch.paths.lock().unwrap(),
        ["/api/denied", "/api/portal/microsites/a%26b?q=x%20y"]
    );
}

#[tokio::test]
async fn data_is_asked_for_concurrently() {
    let answer = tokio::time::timeout(Duration::from_secs(5), async {
        world().get("/shop/both").await
    })
    .await;
    assert!(
        answer
            .expect("the two calls wait for each other")
            .text()
            .contains("met")
    );
}

#[tokio::test]
async fn rendered_pages_are_compressed() {
    let world = world();
    let answer = world
        .get_with("/shop/big", &[("accept-encoding", "gzip, br")])
        .await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&answer.body[..])
        .read_to_string(&mut plain)
        .unwrap();
    assert!(plain.ends_with(&"<p>big</p>".repeat(500)));
    assert!(answer.body.len() < 300);
    assert_eq!(world.get("/shop/big").await.body.len(), plain.len());
    assert_eq!(
        world
            .get_with("/shop", &[("accept-encoding", "gzip")])
            .await
            .header("content-encoding"),
        ""
    );
}

#[tokio::test]
async fn head_tells_the_length_only() {
    let world = world();
    let get = world.get("/shop/big").await;
    let head = world
        .send("HEAD", "/shop/big", &[("cookie", "who=admin")], "")
        .await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn failures_stay_inside_the_frame() {
    let world = world();
    for (path, status, says) in [
        (
            "/shop/panic",
            500,
            "failed 500 Some(\"shop\") the page failed",
        ),
        (
            "/shop/fuel",
            500,
            "failed 500 Some(\"shop\") the page took more than its 5 steps; fuel.html:3",
        ),
        (
            "/shop/status",
            404,
            "package shop title=\"Shop\" intent=\n<p>no such thing</p>",
        ),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().ends_with(says), "{path}: {}", answer.text());
    }
    assert_eq!(
        world.get("/shop").await.status,
        200,
        "the next page is not affected"
    );
    let text = world.gateway.metrics().text().unwrap();
    assert!(
        text.contains("portico_package_pages_total{outcome=\"failed\",package=\"shop\"} 2"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn late_pages_are_given_up() {
    let world = world_with(GatewayConfig {
        page_deadline: Duration::from_secs(2),
        ..GatewayConfig::default()
    });
    let began = tokio::time::Instant::now();
    let answer = world.get("/shop/slow").await;
    assert_eq!(answer.status, 504);
    assert!(
        began.elapsed() >= Duration::from_secs(1) && began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        world.backend.cancelled.load(Ordering::SeqCst),
        1,
        "the work was dropped"
    );
}

#[tokio::test]
async fn routed_to_but_not_started() {
    let world = world();
    assert_eq!(world.live.retire_backends(&|_| false), 1);
    assert_eq!(world.get("/shop").await.status, 503);
}
