//! Every endpoint of the published description, asked by strangers and by the powerless.

use http::Method;
use portico_testkit::{Client, TestPortal};
use serde_json::{Value, json};

/// What anybody may ask.
const PUBLIC: &[&str] = &[
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/openapi.json",
    "/api/portal/session",
    "/auth/sign-in",
];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_anywhere() {
    let portal = TestPortal::start().await;
    let endpoints = endpoints(&portal.admin()).await;
    assert!(
        endpoints.len() > 20,
        "the description has all of them: {}",
        endpoints.len()
    );
    let powerless = portal.nobody().with_token(&portal.make_token(&[]).await);
    let liar = portal
        .nobody()
        .with_token("ptc_0000000000000000000000000000000000000000000");
    for (method, path) in endpoints {
        if PUBLIC.contains(&path.as_str()) || path.starts_with("/auth/") {
            continue;
        }
        for stranger in [portal.nobody(), liar.clone()] {
            let answer = ask(&stranger, &method, &path).await;
            assert_eq!(answer.0, 401, "{method} {path}: {}", answer.1);
        }
        let answer = ask(&powerless, &method, &path).await;
        let own = ["/api/portal/config", "/api/portal/events"].contains(&path.as_str());
        assert!(
            // 422 and 400: the body is no proper one, so that nothing was asked.
            matches!(answer.0, 400 | 401 | 403 | 404 | 422) || own,
            "{method} {path} answers {} to a token that may do nothing: {}",
            answer.0,
            answer.1
        );
    }
    portal.stop().await;
}

/// A cookie alone changes nothing: not from elsewhere, not without the session's token.
#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_alone_changes_nothing() {
    let portal = TestPortal::start().await;
    let core = portal.portal().core();
    let (user, _) = core
        .people
        .ensure_admin(&core.default_tenant)
        .await
        .unwrap();
    let link = core
        .people
        .make_link(&core.default_tenant, &user.id)
        .await
        .unwrap();
    let session = core
        .people
        .sign_in_by_link(&core.default_tenant, &link.clear)
        .await
        .unwrap()
        .unwrap();
    let cookie = format!("portico_session={}", session.clear);
    let person = portal.nobody().with_header("cookie", &cookie);
    person.get("/api/portal/microsites").await.expect(200);
    let url = portal.portal().url().to_owned();
    let cases = [
        person.clone(),
        person.clone().with_header("origin", &url),
        person.clone().with_header("origin", "https://evil.example"),
        person.clone().with_header("sec-fetch-site", "cross-site"),
        person
            .clone()
            .with_header("origin", &url)
            .with_header("x-portico-csrf", "guessed"),
    ];
    for (number, client) in cases.into_iter().enumerate() {
        let body = json!({"name": "n", "scopes": []});
        let answer = client.post("/api/portal/tokens", &body).await;
        assert_eq!(answer.status, 403, "case {number}: {}", answer.text());
        let disable = client
            .post("/api/portal/microsites/sz_dash/disable", &json!({}))
            .await;
        assert_eq!(disable.status, 403, "case {number}: {}", disable.text());
    }
    portal.stop().await;
}

async fn endpoints(admin: &Client) -> Vec<(Method, String)> {
    let document = admin.get("/api/openapi.json").await.expect(200).json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for method in methods
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
        {
            if let Ok(method) = method.to_uppercase().parse() {
                found.push((method, fill(path)));
            }
        }
    }
    found
}

/// Path parameters become something that is not there.
fn fill(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "none" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

async fn ask(client: &Client, method: &Method, path: &str) -> (u16, String) {
    let body = (method != Method::GET).then(|| json!({}));
    let answer = client
        .head_of(method.clone(), path, body.as_ref().map(|b: &Value| b))
        .await;
    (answer.status.as_u16(), answer.text())
}
