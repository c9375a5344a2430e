//! Rendering pages of packages, and what stops it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use portico_host::{
    Backend, BackendError, BackendFactory, OpContext, PageRequest, PageResponse, StagedPackage,
    clock::ManualClock,
};
use portico_package::manifest::RuntimeKind;
use portico_plan::{Identity, TenantId, TenantSnapshot, access::Actor};
use serde_json::json;

use crate::{
    ExternalFactory, StaticFactory,
    testing::{stage, tenant},
};

const MANIFEST: &str = r#"
manifest_version: "1.0"
microsite:
  id: demo
  name: Demo
  version: 1.2.3
  type: htmx
  path: /demo
  permissions: ["microsite:install", "api:microsites:read"]
  config_schema:
    type: object
    properties:
      days: {type: integer, default: 30}
contributes:
  pages:
    - {path: /, template: index.html}
    - {path: "/p/{id}", template: item.html, title: "{item.name}", data: {item: "/api/portal/microsites/{id}"}}
    - {path: /ask, method: POST, template: index.html, intent: "microsite:install"}
"#;

fn package(files: &[(&str, &str)]) -> StagedPackage {
    let mut all = vec![
        ("templates/index.html", "<p>x</p>"),
        ("templates/item.html", "<p>{{ item.name }}</p>"),
    ];
    all.retain(|(name, _)| !files.iter().any(|(n, _)| n == name));
    all.extend_from_slice(files);
    stage(MANIFEST, &all)
}

fn factory() -> StaticFactory {
    let now = "2026-11-21T06:00:00Z"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_microsecond();
    StaticFactory::default().at(Arc::new(ManualClock::new(now)))
}

fn context() -> OpContext {
    let mut ctx = OpContext::system(TenantId::default_tenant(), "r", Duration::from_secs(10));
    ctx.identity = Arc::new(Identity {
        tenant: TenantId::default_tenant(),
        actor: Actor::User("ada".into()),
        name: "Ada".into(),
        permissions: Arc::new(["microsite:*".to_owned()].into()),
    });
    ctx
}

struct World {
    backend: Arc<dyn Backend>,
    tenant: TenantSnapshot,
}

async fn world(files: &[(&str, &str)]) -> World {
    let package = package(files);
    let factory = factory();
    if let Err(findings) = factory.check(&package) {
        panic!("{findings}");
    }
    World {
        backend: factory.start(&package).await.unwrap(),
        tenant: tenant(&[&package], |_| {}),
    }
}

impl World {
    fn request(&self, page: usize) -> PageRequest {
        let view = Arc::clone(self.tenant.packages.get("demo").unwrap());
        PageRequest {
            page: Arc::new(view.manifest.effective_pages()[page].clone()),
            package: view,
            params: Vec::new(),
            query: Vec::new(),
            nonce: Arc::from("N"),
            data: Vec::new(),
            generation: 7,
        }
    }

    async fn page(&self, request: PageRequest) -> Result<PageResponse, BackendError> {
        self.backend.page(&context(), request).await
    }
}

async fn render(index: &str) -> Result<String, BackendError> {
    let world = world(&[("templates/index.html", index)]).await;
    let request = world.request(0);
    world.page(request).await.map(|r| r.html)
}

#[tokio::test]
async fn templates_see_their_variables_functions_and_filters() {
    let html = render(
        r#"{{ portal.name }}|{{ tenant.id }}|{{ user.name }} {{ user.id }} {{ user.signed_in }}|{{ package.id }} {{ package.version }} {{ package.name }} {{ package.mount }}|{{ config.days }}|{{ page.path }} {{ page.title }}|{{ can("microsite:install") }} {{ can("roles:edit") }}|{{ url("/x") }} {{ asset("a b.svg") }}|{{ 1536|bytes }} {{ "2026-11-21T05:00:00Z"|relative }} {{ "2026-11-21T05:00:00Z"|datetime }}|{{ missing.field }}|{{ "a" ~ (1 + 2) }}{{ 7 // 2 * 3 }}|{{ query.q }}"#,
    )
    .await
    .unwrap();
    insta::assert_snapshot!(html, @r#"Portico|default|Ada ada true|demo 1.2.3 Demo /demo|30|/ Demo|true false|/demo/x /assets/2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea/a%20b.svg|1.5 KiB <time datetime="2026-11-21T05:00:00Z" title="2026-11-21 05:00:00 UTC">1 hour ago</time> <time datetime="2026-11-21T05:00:00Z" title="2026-11-21 05:00:00 UTC">21 Nov 2026, 05:00 UTC</time>||a39|"#);
}

#[tokio::test]
async fn titles_are_filled_from_data() {
    let world = world(&[]).await;
    let mut request = world.request(1);
    request.params = vec![("id".into(), "x".into())];
    request.data = vec![(
        "item".into(),
        json!({"name": "Log <Stream>", "list": [1, 2.5, null, true]}),
    )];
    let answer = world.page(request).await.unwrap();
    assert_eq!(answer.title.as_deref(), Some("Log <Stream>"));
    assert_eq!(answer.html, "<p>Log &lt;Stream&gt;</p>");
    assert!(answer.intent.is_none());
}

#[tokio::test]
async fn a_post_page_answers_with_its_intent() {
    let world = world(&[]).await;
    let mut request = world.request(2);
    request.query = vec![("microsite_id".into(), "other".into())];
    let (intent, fields) = world.page(request).await.unwrap().intent.unwrap();
    assert_eq!(intent, portico_package::manifest::Intent::Install);
    assert_eq!(fields, json!({"microsite_id": "other"}));
}

#[tokio::test]
async fn what_would_take_too_much_is_stopped() {
    let started = Instant::now();
    // Memory: each of these would be 100 MB and more.
    for hungry in [
        "{{ 'x' * 100000000 }}",
        "{{ 100000000 * 'x' }}",
        "{{ ('x' * 1000 * 1000)|length }}",
        "{% set ns = namespace(a='xxxxxxxxxxxxxxxx') %}{% for i in range(40) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a|length }}",
        "{% set ns = namespace(a=[1,2,3,4]) %}{% for i in range(40) %}{% set ns.a = ns.a + ns.a %}{% endfor %}{{ ns.a|length }}",
        "{% macro m(a, n) %}{% if n > 0 %}{{ m(a ~ a, n - 1) }}{% else %}{{ a }}{% endif %}{% endmacro %}{{ m('xxxxxxxxxxxxxxxx', 30) }}",
        "{% macro m(n) %}{% if n > 0 %}{{ m(n - 1) }}{{ m(n - 1) }}{% else %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endif %}{% endmacro %}{% set x = m(25) %}",
        "{% set a = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * 1000 %}{{ a|replace('x', a)|length }}",
        "{{ range(10000)|join('x' * 100000)|length }}",
        "{{ range(1000000000) }}",
        "{{ [1]|batch(1000000000, 'x')|list|length }}",
        "{{ ('x' * 60000)|list|map('upper')|list|length }}{% for i in range(1000) %}{{ ('x' * 60000)|upper|length }}{% endfor %}",
    ] {
        match render(hungry).await {
            Err(BackendError::Template {
                template, message, ..
            }) => {
                assert_eq!(template, "index.html", "{hungry}: {message}");
            }
            Err(BackendError::Fuel { .. }) => {}
            other => panic!("{hungry}: {other:?}"),
        }
    }
    // Steps.
    for long in [
        "{% for i in range(10000) %}{% for j in range(10000) %}{{ i + j }}{% endfor %}{% endfor %}",
        "{% macro m() %}{% for i in range(100) %}{{ m() }}{% endfor %}{% endmacro %}{{ m() }}",
        "{% include 'index.html' %}{% include 'index.html' %}",
    ] {
        let error = render(long).await.unwrap_err();
        assert!(
            matches!(
                error,
                BackendError::Fuel { .. }
                    | BackendError::Template { .. }
                    | BackendError::Output { .. }
            ),
            "{long}: {error}"
        );
    }
    // Output.
    let error = render("{% for i in range(10000) %}<p>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx</p>{% endfor %}").await.unwrap_err();
    assert!(
        matches!(error, BackendError::Output { limit: 1_048_576 }),
        "{error}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn fuel_errors_name_template_and_line() {
    let error = render("<p>\n{% for i in range(10000) %}{% for j in range(10000) %}{% if i == j %}{% endif %}{% endfor %}{% endfor %}</p>").await.unwrap_err();
    assert!(
        matches!(&error, BackendError::Fuel { limit: 500_000, detail } if detail == "index.html:2"),
        "{error}"
    );
}

#[tokio::test]
async fn errors_in_included_templates_name_them() {
    let world = world(&[
        ("templates/index.html", "<p>\n{% include 'part.html' %}</p>"),
        ("templates/part.html", "\n\n{{ 1 + 'a' }}"),
    ])
    .await;
    let request = world.request(0);
    let error = world.page(request).await.unwrap_err();
    assert!(
        matches!(&error, BackendError::Template { template, line: 3, message } if template == "part.html" && message.contains('+')),
        "{error}"
    );
}

#[tokio::test]
async fn deadline_and_kill_switch_stop_it() {
    let world = world(&[(
        "templates/index.html",
        "{% for i in range(10000) %}{{ i }}{% endfor %}",
    )])
    .await;
    let mut ctx = context();
    ctx.deadline = Instant::now();
    let error = world
        .backend
        .page(&ctx, world.request(0))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Cancelled(_)), "{error}");
    let ctx = context();
    ctx.cancel.cancel();
    let error = world
        .backend
        .page(&ctx, world.request(0))
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Cancelled(_)), "{error}");
}

#[tokio::test]
async fn the_probe_draws_what_needs_no_data() {
    let package = package(&[(
        "templates/index.html",
        "{% if true %}{{ 1 + 'a' }}{% endif %}",
    )]);
    let factory = factory();
    let backend = factory.start(&package).await.unwrap();
    let tenant = tenant(&[&package], |_| {});
    let view = tenant.packages.get("demo").unwrap();
    let error = factory.probe(&backend, view).await.unwrap_err();
    assert!(matches!(error, BackendError::Template { .. }), "{error}");
    let world = world(&[]).await;
    factory
        .probe(&world.backend, world.tenant.packages.get("demo").unwrap())
        .await
        .unwrap();
}

#[test]
fn the_check_finds_everything_at_once() {
    let mut package = package(&[
        (
            "templates/index.html",
            "<p onclick=\"x\">{{ x|safe }}</p>{% include 'no.html' %}",
        ),
        ("templates/item.html", "<script>x</script>"),
        ("static/style.css", "@import 'x';"),
        ("static/logo.svg", "<svg onload=\"x\"/>"),
        ("static/page.html", "<p>x</p>"),
        ("static/app.js", "alert(1)"),
    ]);
    // A manifest that no reader of YAML would let through, as a forged archive may bring it.
    let manifest = Arc::make_mut(&mut package.manifest);
    manifest.permissions.clear();
    let pages = &mut manifest.contributes.pages;
    pages[0].intent = Some(portico_package::manifest::Intent::Install);
    pages[0].template = "gone.html".into();
    pages[2].intent = None;
    for (name, path) in [
        ("user", "/api/portal/x"),
        ("fine", "/api/portal/x/{id}?q={q}&l=20"),
        ("elsewhere", "/elsewhere"),
        ("unknown", "/api/portal/{zz}"),
        ("dots", "/api/portal/../x"),
        ("__nonce", "/api/portal/x"),
    ] {
        pages[1].data.insert(name.into(), path.into());
    }
    let findings = factory().check(&package).unwrap_err().to_string();
    insta::assert_snapshot!(findings);
}

#[test]
fn external_packages_are_only_links() {
    assert_eq!(ExternalFactory.kind(), RuntimeKind::External);
    assert!(ExternalFactory.check(&package(&[])).is_ok());
}

/// `cargo test --release -p portico-web -- --ignored --nocapture rendering_is_quick` prints the CPU time.
#[tokio::test]
#[ignore = "prints a measurement; the goal is kept in bench/"]
async fn rendering_is_quick() {
    use portico_host::shell::{Content, Shell, ShellRequest};
    let template = "<h2>{{ page.title }}</h2><table class=\"table\"><tbody>{% for row in rows %}<tr id=\"row-{{ row.id }}\"><td><a href=\"/demo/p/{{ row.id }}\">{{ row.name }}</a></td><td class=\"badge {{ row.state }}\">{{ row.size|bytes }}</td></tr>{% endfor %}</tbody></table><button class=\"button\" hx-get=\"/demo/more?after={{ rows|length }}\" hx-target=\"#rows\">More</button>";
    let world = world(&[("templates/index.html", template)]).await;
    let shell = crate::WebShell::new(crate::Branding::default());
    let rows: Vec<_> = (0..14).map(|i| json!({"id": i, "name": format!("Row number {i}"), "state": "ok", "size": i * 1000})).collect();
    let ctx = context();
    let (mut times, mut pages) = (Vec::new(), Vec::new());
    let mut length = (0, 0);
    for _ in 0..2000 {
        let mut request = world.request(0);
        request.data = vec![("rows".into(), json!(rows))];
        let view = world.tenant.packages.get("demo").unwrap();
        let started = Instant::now();
        let answer = world.backend.page(&ctx, request).await.unwrap();
        pages.push(started.elapsed());
        let document = shell.document(
            ShellRequest {
                tenant: &world.tenant,
                identity: &ctx.identity,
                csrf: "c",
                nonce: "N",
                origin: "http://localhost",
                path: "/demo",
                request_id: "r",
                language: "en",
                partial: false,
            },
            Content::Package {
                package: view,
                title: "Demo",
                html: &answer.html,
                intent: None,
            },
        );
        times.push(started.elapsed());
        length = (answer.html.len(), document.len());
    }
    times.sort();
    pages.sort();
    println!(
        "{length:?} bytes; page: median {:?}; with its frame: median {:?}, p95 {:?}",
        pages[1000], times[1000], times[1900]
    );
}

#[tokio::test]
async fn texts_numbers_and_titles_are_in_the_language_of_the_person() {
    let world = world(&[
        (
            "templates/index.html",
            r#"{{ language }}|<p title="{{ t("Say \"{what}\"", what="<hi>") }}">{{ t("Hello {name}", name=user.name) }}</p>|{{ t("{n} packages", n=1) }}, {{ t("{n} packages", n=2) }}|{{ t("Not translated") }}|{{ 1536|bytes }} {{ 12345|number }} {{ "2026-11-21T05:00:00Z"|relative }}|{{ portal.generation }}"#,
        ),
        (
            "locales/de.json",
            r#"{"Hello {name}": "Hallo {name}", "Say \"{what}\"": "Sag „{what}“", "{n} packages": {"one": "ein Paket", "other": "{n} Pakete"}}"#,
        ),
        (
            "locales/en.json",
            r#"{"{n} packages": {"one": "{n} package", "other": "{n} packages"}}"#,
        ),
    ])
    .await;
    let mut html = Vec::new();
    for language in ["en", "de", "ar-XB", "fr"] {
        let mut ctx = context();
        ctx.languages = Arc::from([language.to_owned()]);
        let page = world.backend.page(&ctx, world.request(0)).await.unwrap();
        html.push(String::from_utf8_lossy(page.html.as_ref()).into_owned());
    }
    let stamp = |ago| {
        format!(
            "<time datetime=\"2026-11-21T05:00:00Z\" title=\"2026-11-21 05:00:00 UTC\">{ago}</time>"
        )
    };
    assert_eq!(
        html[0],
        format!(
            "en|<p title=\"Say &quot;&lt;hi&gt;&quot;\">Hello Ada</p>|1 package, 2 packages|Not translated|1.5 KiB 12,345 {}|7",
            stamp("1 hour ago")
        )
    );
    assert_eq!(
        html[1],
        format!(
            "de|<p title=\"Sag „&lt;hi&gt;“\">Hallo Ada</p>|ein Paket, 2 Pakete|Not translated|1,5 KiB 12.345 {}|7",
            stamp("vor 1 Stunde")
        )
    );
    assert!(
        html[2].contains(">\u{202e}Hello Ada\u{202c}<"),
        "{}",
        html[2]
    );
    // What the portal does not speak is not spoken by its packages either.
    assert!(html[3].starts_with("en|"));
}

#[tokio::test]
async fn texts_that_translators_cannot_find_and_values_that_do_not_fit_are_refused() {
    for (template, says) in [
        ("{{ t(user.name) }}", "`t` without its text"),
        ("{{ t() }}", "`t` without its text"),
        ("{{ t(\"a\" ~ \"b\") }}", "`t` without its text"),
        ("{{ t(\"  \") }}", "`t` without its text"),
    ] {
        let findings = factory()
            .check(&package(&[("templates/index.html", template)]))
            .unwrap_err();
        assert!(
            findings.to_string().contains(says),
            "{template}: {findings}"
        );
    }
    for (template, says) in [
        ("{{ t(\"Hello {name}\") }}", "no value for `{name}`"),
        ("{{ t(\"Hello\", strange=1) }}", "strange"),
    ] {
        let error = render(template).await.unwrap_err();
        assert!(error.to_string().contains(says), "{template}: {error}");
    }
}

#[tokio::test]
async fn a_text_with_many_places_cannot_take_more_than_a_page_may() {
    let template = format!(
        "{{% set x = \"y\" * 100000 %}}{{{{ t(\"{}\", a=x) }}}}",
        "{a}".repeat(1000)
    );
    let error = render(&template).await.unwrap_err();
    assert!(error.to_string().contains("take more than"), "{error}");
}
