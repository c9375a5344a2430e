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
async fn parts_of_files() {
    let world = world();
    let css = path("style.css");
    for (headers, status, range, body) in [
        (&[("range", "bytes=4-7")][..], 206, "bytes 4-7/12", "{}bo"),
        (&[("range", "bytes=-2")], 206, "bytes 10-11/12", "{}"),
        (
            &[("range", "bytes=0-"), ("if-range", "\"tag\"")],
            206,
            "bytes 0-11/12",
            "body{}body{}",
        ),
        (
            &[("range", "bytes=0-1"), ("if-range", "\"old\"")],
            200,
            "",
            "body{}body{}",
        ),
        // Of the form that is sent, which has a tag of its own.
        (
            &[("range", "bytes=1-"), ("accept-encoding", "br")],
            206,
            "bytes 1-1/2",
            "r",
        ),
        (
            &[
                ("range", "bytes=0-1"),
                ("if-range", "\"tag\""),
                ("accept-encoding", "br"),
            ],
            200,
            "",
            "br",
        ),
        (&[("range", "bytes=0-1,3-4")], 200, "", "body{}body{}"),
        (
            &[("range", "bytes=0-1"), ("if-none-match", "\"tag\"")],
            304,
            "",
            "",
        ),
    ] {
        let answer = world.send("GET", &css, headers, "").await;
        let said = (
            answer.status.as_u16(),
            answer.header("content-range"),
            answer.text(),
        );
        assert_eq!(said, (status, range, body), "{headers:?}");
        assert_eq!(answer.header("accept-ranges"), "bytes", "{headers:?}");
    }
    let headers = [("range", "bytes=12-")];
    let answer = world.send("GET", &css, &headers, "").await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.header("content-range"),
            answer.json()["code"].as_str()
        ),
        (416, "bytes */12", Some("range-not-satisfiable"))
    );
    let head = world
        .send("HEAD", &css, &[("range", "bytes=0-1")], "")
        .await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, "12"),
        "only GET knows ranges"
    );
}

#[tokio::test]
async fn only_the_file_that_is_meant() {
    let world = world();
    for (tags, status) in [
        ("\"tag\"", 200),
        ("\"x\", \"tag\"", 200),
        ("*", 200),
        ("\"x\"", 412),
        ("W/\"tag\"", 412),
    ] {
        let headers = [("if-match", tags)];
        let answer = world.send("GET", &path("style.css"), &headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{tags}");
    }
}

#[tokio::test]
async fn files_outlive_their_back_end() {
    let world = world();
    world.live.retire_backends(&|_| false);
    assert_eq!(world.get(&path("style.css")).await.status, 200);
    assert_eq!(world.live.retire_assets(&|_| false), 1);
    assert_eq!(world.get(&path("style.css")).await.status, 404);
}
