use portico_gateway::{Arrival, GatewayConfig};
use portico_plan::inventory::State;

use crate::portal::{routes, tenant, world, world_with};

#[tokio::test]
async fn hostile_paths_are_refused_before_anybody_sees_them() {
    let world = world();
    for path in [
        "/shop/../auth",
        "/shop/%2e%2e/auth",
        "/shop/%2E%2e",
        "/shop/.%2e/x",
        "/shop/./x",
        "/shop%2f..%2fx",
        "/shop/%5c..%5cx",
        "/shop/%00",
        "/shop/%0d%0ax",
        "/shop/%",
        "/shop/%zz",
        "/%c0%ae%c0%ae/x",
        "//evil.example/",
        "/shop//x",
        "/api/%2e%2e/x",
        "/assets/%2e%2e/x",
        "/assets/../x",
        "/theme/..%2f",
        "/assets/shell/%2e%2e/x",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(answer.json()["code"], "bad-path", "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert!(world.portal.seen.lock().unwrap().is_empty());
    assert_eq!(
        world
            .backend
            .started
            .load(std::sync::atomic::Ordering::SeqCst),
        0
    );
}

#[tokio::test]
async fn decodes_once() {
    let world = world();
    let answer = world.get("/shop/items/a%20b%252e%252e").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.text().contains(r#"[["id","a b%2e%2e"]]"#),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn the_portals_own_paths_go_to_control() {
    let world = world();
    for path in [
        "/",
        "/api/portal/config",
        "/auth/sign-in",
        "/csp",
        "/theme/other.css",
        "/settings",
        "/activity/1",
        "/favicon.ico",
    ] {
        let answer = world.send("POST", path, &[], "12345").await;
        assert_eq!(answer.text(), format!("control POST {path} 5"));
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
    let seen = world.portal.seen.lock().unwrap();
    let (_, headers, arrival) = &seen[0];
    let arrival: &Arrival = arrival.as_ref().unwrap();
    assert_eq!(arrival.tenant, tenant());
    assert_eq!(&*arrival.origin, "http://portal.example");
    assert_eq!(headers["x-request-id"], &*arrival.request_id);
}

#[tokio::test]
async fn probes_belong_to_no_tenant() {
    let world = world();
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = world
            .send(
                "GET",
                path,
                &[("host", "; not a host"), ("x-forwarded-for", "::1")],
                "",
            )
            .await;
        assert_eq!(answer.text(), format!("control GET {path} 0"));
    }
    let text = world.gateway.metrics().text().unwrap();
    assert!(
        text.contains("portico_generation{tenant=\"default\"} 1"),
        "{text}"
    );
    let seen = world.portal.seen.lock().unwrap();
    assert!(
        seen.iter()
            .all(|(_, headers, arrival)| arrival.is_none()
                && !headers.contains_key("x-forwarded-for"))
    );
}

#[tokio::test]
async fn hosts() {
    let world = world();
    let bad = world
        .send("GET", "/shop", &[("host", "a;script-src *")], "")
        .await;
    assert_eq!(
        (bad.status.as_u16(), bad.json()["code"].as_str()),
        (400, Some("bad-host"))
    );

    // With a second tenant and no default one, hosts decide.
    let live = portico_gateway::Live::new();
    for name in ["one", "two"] {
        let inventory = portico_plan::Inventory {
            tenant: name.parse().unwrap(),
            generation: 1,
            installed: Default::default(),
            removed: Default::default(),
        };
        live.publish(portico_plan::TenantSnapshot::compile(&inventory).into())
            .unwrap();
        live.set_hosts(&name.parse().unwrap(), &[format!("{name}.example")]);
    }
    let snapshot = live.snapshot();
    assert_eq!(
        snapshot
            .tenant_of_host("two.example")
            .unwrap()
            .tenant
            .as_str(),
        "two"
    );
    assert!(snapshot.tenant_of_host("three.example").is_none());
}

#[tokio::test]
async fn forwarded_headers_are_believed_from_trusted_proxies_only() {
    let headers = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "public.example"),
        ("x-forwarded-for", "203.0.113.5"),
        ("x-request-id", "0123456789abcdef0123456789abcdef"),
    ];
    let arrival = async |trusted: &str| {
        let world = world_with(GatewayConfig {
            trusted_proxies: vec![trusted.parse().unwrap()],
            ..GatewayConfig::default()
        });
        let answer = world.send("GET", "/api/x", &headers, "").await;
        let seen = world.portal.seen.lock().unwrap();
        let (_, headers, arrival) = &seen[0];
        for name in ["x-forwarded-proto", "x-forwarded-host", "x-forwarded-for"] {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert_eq!(
            answer.header("x-request-id"),
            &*arrival.as_ref().unwrap().request_id
        );
        arrival.clone().unwrap()
    };
    let believed = arrival("192.0.2.0/24").await;
    assert_eq!(&*believed.origin, "https://public.example");
    assert_eq!(believed.client.to_string(), "203.0.113.5");
    assert!(believed.secure);
    assert_eq!(&*believed.request_id, "0123456789abcdef0123456789abcdef");
    let forged = arrival("198.51.100.0/24").await;
    assert_eq!(&*forged.origin, "http://portal.example");
    assert_eq!(forged.client.to_string(), "192.0.2.9");
    assert!(!forged.secure);
    assert_ne!(&*forged.request_id, "0123456789abcdef0123456789abcdef");
}

#[tokio::test]
async fn what_is_not_there() {
    let world = world();
    for (path, status, says) in [
        ("/nothing", 404, "not found"),
        ("/shop/nothing", 404, "not found"),
        ("/resting", 503, "off resting"),
        ("/resting/deep", 503, "off resting"),
        ("/gone", 410, "removed gone by Ada"),
        ("/gone/deep/er", 410, "removed gone by Ada"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
        assert!(answer.text().starts_with("<document"), "{path}");
        assert_eq!(
            answer
                .headers
                .get_all("content-security-policy")
                .iter()
                .count(),
            2
        );
    }
    for (path, status, code) in [
        ("/nothing", 404, "not-found"),
        ("/resting", 503, "microsite-off"),
        ("/gone", 410, "microsite-removed"),
    ] {
        let answer = world
            .get_with(path, &[("accept", "application/json")])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str()),
            (status, Some(code)),
            "{path}"
        );
        assert_eq!(answer.json()["type"], format!("urn:portico:problem:{code}"));
        assert_eq!(answer.json()["instance"], answer.header("x-request-id"));
    }
}

#[tokio::test]
async fn methods() {
    let world = world();
    let admin = [("cookie", "who=admin")];
    let answer = world.send("DELETE", "/shop", &admin, "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "GET, HEAD, POST")
    );
    let answer = world.send("POST", "/shop", &admin, "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "GET, HEAD")
    );
    let answer = world.get("/shop/install").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "POST")
    );
}

#[tokio::test]
async fn large_answers_of_control_are_compressed() {
    let world = world();
    let answer = world
        .send("GET", "/api/large", &[("accept-encoding", "gzip")], "")
        .await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.header("vary"), "Accept-Encoding");
    assert_eq!(answer.header("etag"), "W/\"c\"");
    assert!(answer.body.len() < 500);
    assert_eq!(
        world
            .send("GET", "/api/large", &[], "")
            .await
            .header("content-encoding"),
        ""
    );
    let small = world
        .send("GET", "/api/small", &[("accept-encoding", "gzip")], "")
        .await;
    assert_eq!(small.header("content-encoding"), "");
}

#[tokio::test]
async fn generations_only_rise() {
    let world = world();
    world.live.publish(routes(5, State::Disabled)).unwrap();
    let stale = world.live.publish(routes(4, State::Ready)).unwrap_err();
    assert_eq!((stale.offered, stale.serving), (4, 5));
    assert_eq!(world.get("/shop").await.status, 503);
    assert_eq!(world.live.generation(&tenant()), 5);
}
