//! Documents as they are drawn.

use std::{collections::BTreeSet, sync::Arc};

use portico_host::shell::{Content, Shell, ShellRequest};
use portico_package::manifest::Intent;
use portico_plan::{
    Identity, TenantId, TenantSnapshot, access::Actor, inventory::State, snapshot::Removal,
};

use super::{Branding, SignIn, WebShell};
use crate::testing::{removed, stage, tenant};

const DEMO: &str = r#"
manifest_version: "1.0"
microsite:
  id: demo
  name: "Demo & <co>"
  version: 1.2.3
  type: htmx
  path: /demo
  icon: "📊"
  description: "Shows <things>"
"#;
const ADMIN: &str = r#"
manifest_version: "1.0"
microsite: {id: people, name: People, version: 1.0.0, type: htmx, path: /people}
contributes:
  navigation:
    - {title: People, path: /, section: admin, permission: "people:read"}
"#;

fn world() -> TenantSnapshot {
    let index = [("templates/index.html", "x")];
    let demo = stage(DEMO, &index);
    let people = stage(ADMIN, &index);
    tenant(&[&demo, &people], |inventory| {
        inventory
            .removed
            .insert("gone".parse().unwrap(), removed("Gone", "/gone"));
    })
}

fn person(permissions: &[&str]) -> Identity {
    Identity {
        tenant: TenantId::default_tenant(),
        actor: Actor::User("ada".into()),
        name: "Ada <Lovelace>".into(),
        permissions: Arc::new(
            permissions
                .iter()
                .map(|p| (*p).to_owned())
                .collect::<BTreeSet<_>>(),
        ),
    }
}

fn request<'a>(
    tenant: &'a TenantSnapshot,
    identity: &'a Identity,
    path: &'a str,
) -> ShellRequest<'a> {
    ShellRequest {
        tenant,
        identity,
        csrf: if identity.is_signed_in() { "token" } else { "" },
        nonce: "N0nce",
        origin: "https://portal.example",
        path,
        request_id: "0123456789abcdef0123456789abcdef",
        language: "en",
        partial: false,
    }
}

/// Digests of the shell's own files change with every edit of them.
fn stable(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("/assets/shell/") {
        out.push_str(before);
        out.push_str("/assets/shell/…");
        rest = &after[12..];
    }
    out.push_str(rest);
    let modules = out.find("id=\"portico-modules\">").map(|i| i + 21);
    if let Some(from) = modules {
        let end = out[from..].find("</script>").map_or(from, |n| from + n);
        out.replace_range(from..end, "…");
    }
    out.replace("><", ">\n<")
}

#[test]
fn a_package_page_in_the_frame() {
    let (tenant, ada) = (world(), person(&["people:*"]));
    let shell = WebShell::new(Branding::default());
    let package = tenant.packages.get("demo").unwrap();
    let html = shell.document(
        request(&tenant, &ada, "/demo"),
        Content::Package {
            package,
            title: &package.name,
            html: "<p>Hello</p>",
            intent: None,
        },
    );
    insta::assert_snapshot!(stable(&html));
}

#[test]
fn a_partial_answer_is_title_and_main() {
    let (tenant, ada) = (world(), person(&[]));
    let shell = WebShell::new(Branding::default());
    let package = tenant.packages.get("demo").unwrap();
    let mut asked = request(&tenant, &ada, "/demo/p/1");
    asked.partial = true;
    let fields = serde_json::json!({"microsite_id": "x"});
    let html = shell.document(
        asked,
        Content::Package {
            package,
            title: "One \"item\"",
            html: "<p>Hello</p>",
            intent: Some((Intent::Install, &fields)),
        },
    );
    insta::assert_snapshot!(stable(&html));
}

#[test]
fn an_intent_without_htmx_stands_in_the_document() {
    let (tenant, ada) = (world(), person(&[]));
    let shell = WebShell::new(Branding::default());
    let package = tenant.packages.get("demo").unwrap();
    let fields = serde_json::json!({"microsite_id": "x\"><script>", "version": "", "other": "y"});
    let html = shell.document(
        request(&tenant, &ada, "/demo/install"),
        Content::Package {
            package,
            title: "T",
            html: "",
            intent: Some((Intent::Install, &fields)),
        },
    );
    assert!(html.contains("<div hidden data-portico-intent=\"{&quot;microsite_id&quot;:&quot;x\\&quot;&gt;&lt;script&gt;&quot;,&quot;package&quot;:&quot;demo&quot;,&quot;verb&quot;:&quot;install&quot;}\"></div>"), "{html}");
}

#[test]
fn navigation_is_what_the_person_may_see() {
    let tenant = world();
    let shell = WebShell::new(Branding::default());
    let draw = |identity: &Identity| {
        shell.document(request(&tenant, identity, "/people/x"), Content::NotFound)
    };
    let (admin, guest) = (draw(&person(&["*"])), draw(&person(&["other:read"])));
    assert!(admin.contains("<section data-section=\"admin\"><h2>Administration</h2>"));
    assert!(
        admin.contains("<a href=\"/people\" aria-current=\"page\">"),
        "{admin}"
    );
    assert!(!guest.contains("Administration") && !guest.contains("href=\"/people\""));
    assert!(guest.contains("Demo &amp; &lt;co&gt;") && !guest.contains("<co>"));
    // Drawn again from the cache, and for another person with the same permissions.
    assert_eq!(draw(&person(&["*"])), admin);
    let other = tenant_without_people();
    assert!(
        !shell
            .document(request(&other, &person(&["*"]), "/"), Content::NotFound)
            .contains("href=\"/people\"")
    );
}

fn tenant_without_people() -> TenantSnapshot {
    tenant(&[&stage(DEMO, &[("templates/index.html", "x")])], |_| {})
}

#[test]
fn pages_without_content_say_why() {
    let ada = person(&[]);
    let nobody = Identity::anonymous(TenantId::default_tenant());
    let shell = WebShell::new(Branding::default());
    let off = tenant(&[&stage(DEMO, &[])], |inventory| {
        for installed in inventory.installed.values_mut() {
            installed.state = State::Disabled;
            installed.reason = Some("Switched off for <maintenance>.".into());
        }
    });
    let package = off.packages.get("demo").unwrap();
    let removal = Removal {
        package: "gone".parse().unwrap(),
        name: "Gone".into(),
        by: "user:ada".into(),
        at: 1_790_000_000_000_000,
    };
    let mut all = String::new();
    for (who, content) in [
        (&ada, Content::Removed(&removal)),
        (&ada, Content::Off(package)),
        (&ada, Content::NotFound),
        (&ada, Content::Forbidden("people:read")),
        (&nobody, Content::Forbidden("people:read")),
        (
            &ada,
            Content::Failed {
                status: 500,
                package: Some(package),
                message: "index.html:3: <boom>",
            },
        ),
        (
            &ada,
            Content::Failed {
                status: 504,
                package: None,
                message: "The page took longer than it may.",
            },
        ),
    ] {
        let mut asked = request(&off, who, "/demo/x?y=\"");
        asked.partial = true;
        all.push_str(&stable(&shell.document(asked, content)));
        all.push_str("\n\n");
    }
    assert!(!all.contains("<maintenance>") && !all.contains("<boom>"));
    insta::assert_snapshot!(all);
}

#[test]
fn the_sign_in_page() {
    let shell = WebShell::new(Branding {
        name: "Acme <portal>".into(),
        primary_color: Some("#1d4ed8".into()),
        ..Branding::default()
    });
    let html = shell.sign_in_page(&SignIn {
        language: "en",
        nonce: "N0nce",
        next: "/demo?a=\"b",
        error: Some("Used <already>."),
    });
    assert!(!html.contains("<already>") && !html.contains("<portal>"));
    insta::assert_snapshot!(stable(&html));
}

#[test]
fn policies_are_the_two_that_were_tried() {
    let shell = WebShell::new(Branding::default());
    let [first, second] = shell.content_security_policies("abc123", "https://portal.example:8443");
    insta::assert_snapshot!(first, @"default-src 'none'; script-src 'nonce-abc123' 'strict-dynamic'; script-src-attr 'none'; style-src 'self'; style-src-attr 'none'; connect-src 'self'; img-src 'self' data:; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; manifest-src 'self'; require-trusted-types-for 'script'; trusted-types htmx portico; report-uri /csp");
    insta::assert_snapshot!(second, @"script-src https://portal.example:8443/assets/shell/; report-uri /csp");
    // What comes from outside adds no directive.
    let [first, second] =
        shell.content_security_policies("x'; script-src *", "https://a.example; script-src *");
    assert_eq!(first.matches(';').count(), 16);
    assert!(!first.contains('*') && second == "script-src 'none'; report-uri /csp");
}

#[test]
fn branding_changes_while_it_runs() {
    use portico_host::ShellFiles;
    let shell = WebShell::new(Branding::default());
    let (tenant, ada) = (world(), person(&[]));
    let draw = || shell.document(request(&tenant, &ada, "/"), Content::NotFound);
    assert!(!draw().contains("/theme/"));
    shell.set_branding(Branding {
        name: "Acme".into(),
        logo: Some("https://elsewhere.example/logo.png".into()),
        favicon: Some("/logo.ico".into()),
        primary_color: Some("#ff0".into()),
        ..Branding::default()
    });
    let html = draw();
    assert!(
        html.contains(" · Acme</title>") && html.contains("<link rel=\"icon\" href=\"/logo.ico\">")
    );
    assert!(
        !html.contains("elsewhere.example"),
        "the policy would block it"
    );
    let from = html.find("/theme/").unwrap();
    let path = &html[from..from + html[from..].find('"').unwrap()];
    let theme = shell.get(path).unwrap();
    assert_eq!(theme.content_type, "text/css; charset=utf-8");
    assert!(theme.bytes.starts_with(b":root {"));
    assert!(shell.get("/theme/000000000000.css").is_none());
}
