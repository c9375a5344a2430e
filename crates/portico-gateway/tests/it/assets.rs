use crate::portal::{digest, world};

fn path(file: &str) -> String {
    format!("/assets/{}/{file}", digest().hex())
}

#[tokio::test]
async fn files_are_immutable_and_need_no_sign_in() {
    let world = world();
    let answer = world
        .send(
            "GET",
            &path("style.css"),
            &[("accept-encoding", "br, gzip")],
            "",
        )
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(&answer.body[..], b"br");
    for (name, value) in [
        ("cache-control", "public, max-age=31536000, immutable"),
        ("content-encoding", "br"),
        ("content-type", "text/css; charset=utf-8"),
        ("etag", "\"tag-br\""),
        ("vary", "Accept-Encoding"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
        ("content-security-policy", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let again = [("accept-encoding", "br"), ("if-none-match", "\"tag-br\"")];
    let answer = world.send("GET", &path("style.css"), &again, "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0));
    assert_eq!(answer.header("etag"), "\"tag-br\"");
    let answer = world.send("HEAD", &path("style.css"), &[], "").await;
    assert_eq!(
        (answer.header("content-length"), answer.body.len()),
        ("12", 0)
    );
}

#[tokio::test]
async fn a_page_among_the_files_runs_nothing() {
    let answer = world().get(&path("page.html")).await;
    let policy = answer.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("sandbox"),
        "{policy}"
    );
}

#[tokio::test]
async fn names_are_decoded_once() {
    let world = world();
    assert_eq!(world.get(&path("with%20space.txt")).await.text(), "x");
    assert_eq!(world.get(&path("with%2520space.txt")).await.status, 404);
}

#[tokio::test]
async fn what_is_no_file() {
    let world = world();
    for missing in [
        path("nothing.css"),
        path(""),
        format!("/assets/{}", digest().hex()),
        format!("/assets/{}/style.css", "0".repeat(64)),
        "/assets/shell/other.js".into(),
        "/assets/".into(),
    ] {
        let answer = world.get(&missing).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["code"].as_str()),
            (404, Some("not-found")),
            "{missing}"
        );
    }
    let answer = world.send("POST", &path("style.css"), &[], "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "GET, HEAD")
    );
}

#[tokio::test]
async fn files_of_the_shell_and_themes() {
    let world = world();
    for path in ["/assets/shell/0a-shell.js", "/theme/0a.css"] {
        let answer = world.send("GET", path, &[], "").await;
        assert_eq!(answer.text(), "shell", "{path}");
        assert_eq!(
            answer.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
    }
    assert!(world.portal.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn files_outlive_their_back_end() {
    let world = world();
    world.live.retire_backends(&|_| false);
    assert_eq!(world.get(&path("style.css")).await.status, 200);
    assert_eq!(world.live.retire_assets(&|_| false), 1);
    assert_eq!(world.get(&path("style.css")).await.status, 404);
}
