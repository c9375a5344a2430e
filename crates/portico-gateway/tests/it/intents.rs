use serde_json::{Value, json};

use crate::portal::{Answer, World, world};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const HTMX: (&str, &str) = ("hx-request", "true");
const ADMIN: (&str, &str) = ("cookie", "who=admin");

async fn post(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    world.send("POST", path, headers, body).await
}

#[tokio::test]
async fn the_shell_is_told() {
    let world = world();
    let body = "microsite_id=logstream&version=2.1.0&note=%C3%BC";
    let answer = post(&world, "/shop/install", &[ADMIN, FORM, OWN, HTMX], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let trigger: Value = serde_json::from_str(answer.header("hx-trigger")).unwrap();
    assert_eq!(
        trigger,
        json!({"portico:intent": {"verb": "install", "package": "shop", "microsite_id": "logstream", "version": "2.1.0"}})
    );
    let seen: Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(
        seen["query"][2],
        json!(["note", "ü"]),
        "the fragment gets every field"
    );
}

#[tokio::test]
async fn without_scripts_the_document_carries_it() {
    let world = world();
    let answer = post(
        &world,
        "/shop/install",
        &[ADMIN, FORM, OWN],
        "microsite_id=logstream",
    )
    .await;
    assert_eq!(answer.header("hx-trigger"), "");
    assert!(answer.text().starts_with("<document"), "{}", answer.text());
    assert!(
        answer
            .text()
            .contains(r#"intent={"microsite_id":"logstream","package":"shop","verb":"install"}"#)
    );
}

#[tokio::test]
async fn only_pages_of_the_portal_may_send_forms() {
    let world = world();
    for (headers, allowed) in [
        (&[("sec-fetch-site", "same-origin")][..], true),
        (&[("origin", "http://portal.example")], true),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "none")], false),
        (&[("origin", "http://evil.example")], false),
        (&[("origin", "https://portal.example")], false),
        (&[("origin", "null")], false),
        (&[], false),
        (
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://portal.example"),
            ],
            false,
        ),
    ] {
        let all: Vec<_> = [ADMIN, FORM].iter().chain(headers).copied().collect();
        let answer = post(&world, "/shop/install", &all, "microsite_id=a").await;
        assert_eq!(
            answer.status == 200,
            allowed,
            "{headers:?}: {}",
            answer.text()
        );
        if !allowed {
            assert_eq!(answer.status, 403);
        }
    }
    let token = [("authorization", "Bearer admin"), FORM];
    assert_eq!(
        post(&world, "/shop/install", &token, "microsite_id=a")
            .await
            .status,
        200,
        "tokens are no cookies"
    );
}

#[tokio::test]
async fn both_the_package_and_the_person_need_the_permission() {
    let world = world();
    let json = ("accept", "application/json");
    let answer = post(
        &world,
        "/shop/remove",
        &[ADMIN, FORM, OWN, json],
        "microsite_id=a",
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["code"].as_str()),
        (403, Some("package-permission-missing"))
    );
    let bob = ("cookie", "who=bob:microsite:read");
    let answer = post(
        &world,
        "/shop/install",
        &[bob, FORM, OWN, json],
        "microsite_id=a",
    )
    .await;
    assert_eq!(answer.json()["permission"], "microsite:install");
    let eve = ("cookie", "who=eve:microsite:install");
    assert_eq!(
        post(
            &world,
            "/shop/install",
            &[eve, FORM, OWN, json],
            "microsite_id=a"
        )
        .await
        .status,
        200
    );
    assert_eq!(
        post(
            &world,
            "/shop/off",
            &[eve, FORM, OWN, json],
            "microsite_id=a"
        )
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn forms_that_are_none() {
    let world = world();
    let json = ("accept", "application/json");
    for (headers, body, status, code) in [
        (
            &[ADMIN, OWN, json][..],
            "microsite_id=a",
            415,
            "unsupported-media-type",
        ),
        (
            &[ADMIN, OWN, json, ("content-type", "text/plain")],
            "microsite_id=a",
            415,
            "unsupported-media-type",
        ),
        (&[ADMIN, OWN, json, FORM], "", 422, "invalid-form"),
        (
            &[ADMIN, OWN, json, FORM],
            "microsite_id=..%2Fx",
            422,
            "invalid-form",
        ),
        (
            &[ADMIN, OWN, json, FORM],
            "microsite_id=a&version=new",
            422,
            "invalid-form",
        ),
        (
            &[ADMIN, OWN, json, FORM],
            &format!("microsite_id=a&x={}", "y".repeat(65536)),
            413,
            "form-too-large",
        ),
    ] {
        let answer = post(&world, "/shop/install", headers, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str()),
            (status, Some(code))
        );
        assert_eq!(answer.header("hx-trigger"), "");
    }
}
