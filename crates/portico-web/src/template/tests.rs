//! What must stay refused, what must stay accepted, and that nothing slips through when it is rendered.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    rewrite::rewrite,
    scan::{Found, Reading, Scanner},
    value::Area,
};
use crate::engine;

fn area() -> Area {
    Area {
        mount: "/logs".into(),
    }
}

fn check(source: &str) -> Result<String, Vec<Found>> {
    rewrite("t.html", source, &area()).map(|r| r.source)
}

/// Reads what a template wrote with the same strictness.
fn scan_output(html: &str) -> Result<(), Vec<Found>> {
    let area = area();
    let mut scanner = Scanner::new(&area, Reading::Output);
    let done = scanner
        .literal(html, 0)
        .and_then(|()| scanner.finish(html.len()));
    if done.is_ok() && scanner.found.is_empty() {
        Ok(())
    } else {
        Err(scanner.found)
    }
}

fn render(source: &str, values: serde_json::Value) -> Result<String, minijinja::Error> {
    let checked = check(source).unwrap_or_else(|f| panic!("refused: {f:#?}"));
    let mut env = engine::environment(&engine::Limits::default());
    env.add_template_owned("t.html".to_owned(), checked)?;
    let mut context: BTreeMap<String, minijinja::Value> = BTreeMap::new();
    if let serde_json::Value::Object(fields) = values {
        context.extend(
            fields
                .iter()
                .map(|(k, v)| (k.clone(), crate::data::value(v))),
        );
    }
    context.insert("__nonce".into(), "N0nce".into());
    context.insert("__mount".into(), "/logs".into());
    env.get_template("t.html")?
        .render(minijinja::Value::from_pairs(context))
}

const ATTACKS: &[&str] = &[
    // Elements that run, fetch, or belong to the document.
    "<script>alert(1)</script>",
    "<ScRiPt src=x></ScRiPt>",
    "<style>*{}</style>",
    "<iframe src=\"/logs/x\"></iframe>",
    "<object data=\"x\"></object>",
    "<embed src=\"x\">",
    "<base href=\"https://evil.example/\">",
    "<meta http-equiv=\"refresh\" content=\"0;url=https://evil.example\">",
    "<link rel=\"stylesheet\" href=\"https://evil.example/x.css\">",
    "<template><p>x</p></template>",
    "<html><body>x</body></html>",
    "<main>x</main>",
    "<nav>x</nav>",
    "<dialog open>x</dialog>",
    "<portico-package>x</portico-package>",
    "<sz-nav></sz-nav>",
    "<hx-partial hx-target=\"#portico-nav\">x</hx-partial>",
    "<math><mi>x</mi></math>",
    "<noscript><p>x</p></noscript>",
    "<marquee>x</marquee>",
    "<video src=\"/logs/x.mp4\"></video>",
    "<x:y>z</x:y>",
    // Attributes that run or fetch.
    "<p onclick=\"alert(1)\">x</p>",
    "<p OnClick=alert>x</p>",
    "<img src=\"/assets/a.png\" onerror=\"x\">",
    "<p style=\"position:fixed\">x</p>",
    "<p hx-on:click=\"alert(1)\">x</p>",
    "<p hx-on=\"click -> x\">x</p>",
    "<p hx-on::load=\"x\">x</p>",
    "<p data-hx-get=\"/admin\">x</p>",
    "<p data-hx-on:click=\"x\">x</p>",
    "<a href=\"/logs/x\" ping=\"https://evil.example\">x</a>",
    "<button formaction=\"/auth/x\">x</button>",
    "<img srcset=\"https://evil.example/x 2x\" alt=\"\">",
    "<p nonce=\"x\">x</p>",
    "<p hx-nonce=\"x\">x</p>",
    "<p hx-nonce:inherited=\"{{ x }}\">x</p>",
    "<button popovertarget=\"portico-person-menu\">x</button>",
    "<p popover>x</p>",
    "<p is=\"x-y\">x</p>",
    "<input type=\"password\">",
    "<input type=\"image\" src=\"x\">",
    "<form name=\"querySelector\"></form>",
    "<img name=\"getElementById\" alt=\"\">",
    "<form><input name=\"attributes\"></form>",
    "<form><input name=\"{{ x }}\"></form>",
    // Addresses.
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\" javascript:alert(1)\">x</a>",
    "<a href=\"java\tscript:alert(1)\">x</a>",
    "<a href=\"&#106;avascript:alert(1)\">x</a>",
    "<a href=\"javascript&colon;alert(1)\">x</a>",
    "<a href=\"/logs?a=1&copy;x\">x</a>",
    "<a href=\"/logs?a=1&copy_x=2\">x</a>",
    "<a href=\"data:text/html,x\">x</a>",
    "<a href=\"vbscript:x\">x</a>",
    "<a href=\"//evil.example/\">x</a>",
    "<a href=\"/\\evil.example/\">x</a>",
    "<a href=\"http://evil.example/\">x</a>",
    "<a href=\"https://{{ host }}/\">x</a>",
    "<a href=\"https://good.example{{ x }}\">x</a>",
    "<a href=\"https://user@{{ x }}/\">x</a>",
    "<a href=\"{{ address }}\">x</a>",
    "<a href=\"/{{ address }}\">x</a>",
    "<a href=\"{% if x %}javascript:{% endif %}alert(1)\">x</a>",
    "<img src=\"https://evil.example/x.png\" alt=\"\">",
    "<img src=\"data:image/svg+xml,<svg>\" alt=\"\">",
    "<img src=\"{{ x }}\" alt=\"\">",
    "<img src=\"/auth/sign-in?token=x\" alt=\"\">",
    "<img src=\"{{ asset('a') ~ x }}\" alt=\"\">",
    "<form action=\"/auth/sign-out\" method=\"post\"></form>",
    "<form action=\"https://evil.example\"></form>",
    "<form action=\"{{ x }}\"></form>",
    "<p hx-get=\"/admin/install\" hx-trigger=\"load\">x</p>",
    "<p hx-post=\"/api/portal/microsites/install\">x</p>",
    "<p hx-get=\"https://evil.example/x\">x</p>",
    "<p hx-get=\"//evil.example/x\">x</p>",
    "<p hx-get=\"/logsx/y\">x</p>",
    "<p hx-get=\"/logs{{ x }}\">x</p>",
    "<p hx-get=\"/logs/../auth\">x</p>",
    "<p hx-get=\"/logs/%2e%2e/auth\">x</p>",
    "<p hx-get=\"/logs/.{{ x }}/auth\">x</p>",
    "<p hx-get=\"js:alert(1)\">x</p>",
    "<p hx-get=\"{{ url }}\">x</p>",
    "<p hx-get=\"{{ url('/x') ~ y }}\">x</p>",
    "<p hx-get=\"{{ link('/x') }}\">x</p>",
    "<p hx-delete=\"/logs/x\">x</p>",
    "<p hx-action=\"/logs/x\">x</p>",
    "<p hx-push-url=\"/marketplace\">x</p>",
    // htmx that reaches outside or runs code.
    "<p hx-get=\"/logs/x\" hx-target=\"#portico-nav\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\"body\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\"closest main\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\"closest portico-package\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\"next footer\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\"global .x\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\".x, #portico-nav\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\"#{{ x }}\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\"#port{{ x }}\">x</p>",
    "<p hx-get=\"/logs/x\" hx-target=\"{{ x }}\">x</p>",
    "<p hx-get=\"/logs/x\" hx-swap=\"innerHTML target:#portico-nav\">x</p>",
    "<p hx-get=\"/logs/x\" hx-swap=\"{{ x }}\">x</p>",
    "<p hx-get=\"/logs/x\" hx-trigger=\"keyup[key=='Enter']\">x</p>",
    "<p hx-get=\"/logs/x\" hx-trigger=\"click target:#portico-nav\">x</p>",
    "<p hx-get=\"/logs/x\" hx-trigger=\"{{ x }}\">x</p>",
    "<p hx-get=\"/logs/x\" hx-vals=\"js:{a: 1}\">x</p>",
    "<p hx-get=\"/logs/x\" hx-vals='{{ x }}'>x</p>",
    "<p hx-get=\"/logs/x\" hx-vals='{\"a\": {{ x }}}'>x</p>",
    "<p hx-get=\"/logs/x\" hx-vals='{\"{{ x }}\": 1}'>x</p>",
    "<p hx-get=\"/logs/x\" hx-headers='{\"x\": \"y\"}'>x</p>",
    "<p hx-get=\"/logs/x\" hx-config='{\"mode\": \"cors\"}'>x</p>",
    "<p hx-get=\"/logs/x\" hx-confirm=\"js:alert(1)\">x</p>",
    "<p hx-get=\"/logs/x\" hx-confirm=\"{{ x }}\">x</p>",
    "<p hx-get=\"/logs/x\" hx-confirm=\"j{{ x }}\">x</p>",
    "<p hx-get=\"/logs/x\" hx-select-oob=\"#a:innerHTML:#portico-nav\">x</p>",
    "<p hx-swap-oob=\"innerHTML:#portico-nav\" id=\"a\">x</p>",
    "<p hx-status:404=\"target:#portico-nav\">x</p>",
    "<p hx-target:append=\"#x\">x</p>",
    "<a hx-boost='{\"target\":\"body\"}' href=\"/logs/x\">x</a>",
    "<p hx-include=\"#portico-search\" hx-get=\"/logs/x\">x</p>",
    "<p hx-indicator=\"#portico-bar\" hx-get=\"/logs/x\">x</p>",
    "<p hx-sync=\"#portico-nav:abort\" hx-get=\"/logs/x\">x</p>",
    // Names of the shell.
    "<p id=\"portico-main\">x</p>",
    "<p id=\"PORTICO-main\">x</p>",
    "<p id=\"&#112;ortico-main\">x</p>",
    "<p class=\"a portico-notice\">x</p>",
    "<p class=\"por{% if x %}tico-{% endif %}notice\">x</p>",
    "<p class=\"port{{ x }}\">x</p>",
    "<p class=\"{% if x %}portico{% else %}a{% endif %}-notice\">x</p>",
    "<p data-portico=\"sign-out\">x</p>",
    "<p data-package=\"other\">x</p>",
    "<p aria-labelledby=\"portico-title\">x</p>",
    "<input form=\"portico-form\">",
    // HTML that browsers read otherwise than it looks.
    "<p title=\"<hx-partial \">x</p>",
    "<p title='x'onclick='y'>x</p>",
    "<p title=x{{ y }}>x</p>",
    "<p {{ x }}>y</p>",
    "<p {{ x }}=\"y\">z</p>",
    "<{{ x }}>y</p>",
    "<p title = \"x\">y</p>",
    "<p title=\"x\" / onclick>y</p>",
    "<p/onclick=x>y</p>",
    "<div/>x",
    "<p title=\"x>y</p>",
    "<p title=`x`>y</p>",
    "</portico-package>",
    "</main>",
    "</div>",
    "<div>",
    "<div><span></div></span>",
    "<button><section><button>x</button></section></button>",
    "<ul><li><div><li>x</li></div></li></ul>",
    "<p><div>x</div></p>",
    "<form><form></form></form>",
    "<table><div></div></table>",
    "<select><p>x</p></select>",
    "<svg><p>x</p></svg>",
    "<svg><script>x</script></svg>",
    "<svg><foreignObject><p>x</p></foreignObject></svg>",
    "<svg><use href=\"https://evil.example/x.svg#a\"/></svg>",
    "<svg><use xlink:href=\"#a\"/></svg>",
    "<svg><a href=\"javascript:x\"><text>x</text></a></svg>",
    "<svg><animate attributeName=\"href\"/></svg>",
    "<svg><rect fill=\"url(https://evil.example)\"/></svg>",
    "<svg><rect fill=\"url({{ x }})\"/></svg>",
    "<svg><title><p>x</p></title></svg>",
    "<![CDATA[<script>]]>",
    "<!DOCTYPE html>",
    "<?php x ?>",
    "<!-- {{ x }} -->",
    "<!-- {% if x %} --><p>{% endif %}",
    "<!-- open",
    "a < b",
    "<textarea><script></textarea>",
    "<textarea></textarea/>",
    "x\u{0}y",
    "<p\u{0}>x</p>",
    // Template tags across tags.
    "{% if x %}<div>{% else %}<div class=\"a\">{% endif %}</div>",
    "{% if x %}</div>{% endif %}",
    "<div>{% if x %}</div>{% endif %}",
    "{% for i in x %}<div>{% endfor %}",
    "<p {% if x %}title=\"{% endif %}a\">y</p>",
    "<p title=\"{% if x %}\" onclick=\"{% endif %}\">y</p>",
    "<p {% if x %}>{% endif %}>y</p>",
    "<p{% if x %} a{% endif %}>y</p>",
    "<input {% if x %}checked{% endif %}{% if y %}disabled{% endif %}>",
    "<input{% if x %} checked {% endif %}disabled>",
    "<input {%- if x %}checked{% endif %}>",
    "<p {% for i in x %}hidden {% endfor %}>y</p>",
    "<p {% include 'x.html' %}>y</p>",
    "<p title=\"{% include 'x.html' %}\">y</p>",
    "<p title=\"{% block x %}{% endblock %}\">y</p>",
    "{% macro m() %}<div>{% endmacro %}{{ m() }}</div>",
    "{% set x %}<b title='{% endset %}{{ x }}",
    "{% block a %}</div>{% endblock %}",
    // The engine.
    "{{ x|safe }}",
    "{% autoescape false %}{{ x }}{% endautoescape %}",
    "{{ x|nothing }}",
    "{{ nothing() }}",
    "{{ x is nothing }}",
    "{{ __nonce }}",
    "{% set __nonce = 1 %}",
    "{{ x|__attr }}",
    "{{ __m(1) }}",
    "{% macro __url() %}{% endmacro %}",
    "{{ x }",
    "{% if x %}",
    "{% raw %}<script>{% endraw %}",
    "{{ debug() }}",
];

#[test]
fn attacks_stay_refused() {
    let taken: Vec<_> = ATTACKS.iter().filter(|a| check(a).is_ok()).collect();
    assert!(taken.is_empty(), "taken: {taken:#?}");
    assert!(ATTACKS.len() >= 60);
}

const GOOD: &[&str] = &[
    "",
    "plain text & more",
    "<h2>Logs</h2>\n<p class=\"muted\">{{ x }}</p>",
    "<div id=\"results\">{% for m in list %}<article class=\"card\"><h3>{{ m.icon }} {{ m.name }}</h3>{% if m.id in y %}<button disabled>✓ Installed</button>{% else %}<button hx-post=\"/logs/install\" hx-vals='{\"microsite_id\": \"{{ m.id }}\"}' hx-target=\"this\" hx-swap=\"outerHTML\">Install</button>{% endif %}</article>{% else %}<p>None</p>{% endfor %}</div>",
    "<input type=\"text\" name=\"q\" hx-get=\"/logs/search\" hx-trigger=\"keyup changed delay:500ms, search\" hx-target=\"#results\" placeholder=\"Search…\" value=\"{{ query.q }}\">",
    "<a href=\"/logs\">a</a><a href=\"/logs?x={{ x }}\">b</a><a href=\"/logs/{{ x }}/y#z\">c</a><a href=\"?page={{ x }}&copy=1&a={{ y }}\">d</a><a href=\"#top\">e</a>",
    "<a href=\"{{ url('/p/' ~ x) }}?q=1\">a</a><a href=\"{{ asset('a.csv') }}\" download>b</a><a href=\"{{ link(x) }}\">c</a>",
    "<a href=\"/marketplace/p/{{ x }}\">a</a><a href=\"https://example.com/{{ x }}\" target=\"_blank\" rel=\"nofollow\">b</a><a href=\"mailto:a@example.com\">c</a>",
    "<a href=\"/logs?q={{ x }}{% if y %}&amp;category={{ y }}{% endif %}\">a</a>",
    "<a class=\"tab {% if x %}active{% endif %} {{ y }}\" {% if x %}aria-current=\"page\"{% endif %} href=\"/logs\">a</a>",
    "<tr id=\"row-{{ x }}\" hx-get=\"/logs/row/{{ x }}\" hx-target=\"#row-{{ x }}\" hx-trigger=\"portico:changed from:body\" hx-swap=\"outerMorph\"><td>{{ x }}</td></tr>",
    "<form action=\"/logs/install\" method=\"post\" hx-post=\"/logs/install\" hx-confirm=\"Remove {{ x }}?\"><label for=\"a\">A</label><select id=\"a\" name=\"a\"><option value=\"1\" {% if x %}selected{% endif %}>One</option></select><textarea name=\"t\">{{ x }}</textarea><input type=hidden name=v value=\"{{ x }}\"></form>",
    "<img src=\"{{ asset('logo.svg') }}\" alt=\"{{ x }}\"><img src=\"{{ image(x) }}\" alt=\"\"><img src=\"data:image/png;base64,AAAA\" alt=\"\"><br/><hr>",
    "<svg viewBox=\"0 0 20 20\" class=\"icon\"><defs><linearGradient id=\"g\"><stop offset=\"0\" stop-color=\"red\"/></linearGradient></defs><circle cx=\"10\" cy=\"{{ x }}\" r=\"8\" fill=\"url(#g)\"/><path d=\"M0 {{ x }}h2\"></path><title>{{ x }}</title></svg>",
    "{% extends \"base.html\" %}{% block body %}<p>{{ super() }}</p>{% endblock %}",
    "{% macro row(a, b='x') %}<li>{{ a }} {{ b }}</li>{% endmacro %}<ul>{{ row(1) }}{% call row(2) %}x{% endcall %}</ul>",
    "{% set total = a + b * 2 ~ 'x' %}{% set cap %}<b>{{ x }}</b>{% endset %}{{ cap }}{{ total }}{% with q = 1 %}{{ q }}{% endwith %}",
    "<!-- a comment with <script> --><p>x</p>",
    "<p title=\"{% for i in list %}{{ i }}, {% endfor %}\" data-count=\"{{ list|length }}\">{{ \"{{\" }} {% raw %}{{ not code }}{% endraw %}</p>",
    "{%- if x -%} <p>a</p> {%- else -%} <p>b</p> {%- endif -%}",
    "{% for a, b in map|items if a != 'z' %}{{ loop.index }}: {{ a }}={{ b[0:2] }}{{ (a, b)[0] }}{{ {\"k\": [1, -2.5, none, true]}.k|tojson }}{% endfor %}",
    "{% include \"part.html\" %}{% include \"maybe.html\" ignore missing %}",
    "<div hx-boost=\"false\"><a hx-boost=\"true\" href=\"/logs\">x</a></div>",
    "<table><thead><tr><th scope=\"col\">a</th></tr></thead><tbody>{% for i in list %}<tr><td>{{ i }}</td></tr>{% endfor %}</tbody></table>",
    "<details open><summary>a</summary><p>b</p></details><dl><dt>a</dt><dd>b</dd></dl><progress value=\"{{ x }}\" max=\"100\"></progress>",
    "<button type=\"button\" hx-get=\"{{ url('/x') }}\" hx-push-url=\"/logs?tab={{ x }}\" hx-select=\"#a\" hx-include=\"closest form, #a-{{ x }}\" hx-indicator=\"#spin\" hx-disable=\"this\" hx-sync=\"this:replace\">x</button>",
];

#[test]
fn good_templates_are_taken() {
    for good in GOOD {
        if let Err(found) = check(good) {
            panic!("refused: {good}\n{found:#?}");
        }
    }
}

#[test]
fn elements_with_htmx_get_the_nonce_and_links_out_a_rel() {
    let html = render(
        "<p>a</p><button hx-get=\"/logs/x\">b</button><a href=\"https://example.com/\" rel=\"nofollow\">c</a><a href=\"{{ link(x) }}\">d</a><a href=\"/logs\">e</a><a hx-boost=\"true\" href=\"/logs\">f</a>",
        serde_json::json!({"x": "javascript:alert(1)"}),
    )
    .unwrap();
    insta::assert_snapshot!(html, @r##"<p>a</p><button hx-get="/logs/x" hx-nonce="N0nce">b</button><a href="https://example.com/"  rel="noopener noreferrer">c</a><a href="#" rel="noopener noreferrer">d</a><a href="/logs">e</a><a hx-boost='{"target":"#portico-main","select":"#portico-main","swap":"outerHTML","transition":true}' href="/logs" hx-nonce="N0nce">f</a>"##);
}

#[test]
fn images_lead_to_files_only() {
    let html = render(
        "<img src=\"{{ link(x) }}\" alt=\"\"><img src=\"{{ image(y) }}\" alt=\"\">",
        serde_json::json!({"x": "/auth/sign-in?token=x", "y": "/assets/ab/icon.svg"}),
    )
    .unwrap();
    assert_eq!(
        html,
        "<img src=\"\" alt=\"\"><img src=\"/assets/ab/icon.svg\" alt=\"\">"
    );
}

#[test]
fn paths_follow_the_mount() {
    let source = check("<a href=\"/logs/x\">a</a><p hx-get=\"/logs?q={{ q }}\" hx-push-url=\"/logs/{{ q }}\">b</p>").unwrap();
    let mut env = engine::environment(&engine::Limits::default());
    env.add_template("t", &source).unwrap();
    let html = env
        .get_template("t")
        .unwrap()
        .render(minijinja::context! { __mount => "/team/logs", __nonce => "n", q => "a/../b" })
        .unwrap();
    assert_eq!(
        html,
        "<a href=\"/team/logs/x\">a</a><p hx-get=\"/team/logs?q=a%2F..%2Fb\" hx-push-url=\"/team/logs/a%2F..%2Fb\" hx-nonce=\"n\">b</p>"
    );
}

#[test]
fn values_cannot_leave_their_place() {
    let hostile = "\"'><script>alert(1)</script> onload=x portico-main javascript:";
    let html = render(
        "{% set cap %}<b class=\"x\">{{ v }}</b>{% endset %}{% macro m() %}<i>{{ v }}</i>{% endmacro %}\
         <p title=\"{{ v }}\" class=\"a {{ v }}\" id=\"row-{{ v }}\" data-x='{{ cap }}'>{{ v }}{{ cap }}{{ m() }}{{ cap|upper }}{{ cap|replace('b', v) }}{{ (cap|split('x'))[0] }}{{ cap|list|join(v) }}{{ cap ~ v }}{{ cap[0:3] }}{{ cap|first }}{{ cap|reverse }}</p>\
         <a href=\"/logs/{{ v }}?q={{ cap }}\" title=\"{{ m() }}\">x</a><button hx-post=\"/logs/x\" hx-vals='{\"a\": \"{{ v }}\"}' hx-confirm=\"Go {{ v }}\" hx-target=\"#row-{{ v }}\">x</button>\
         <textarea>{{ cap }}{{ v }}</textarea><svg><rect fill=\"{{ v }}\"/></svg>",
        serde_json::json!({ "v": hostile }),
    )
    .unwrap();
    scan_output(&html).unwrap_or_else(|f| panic!("{html}\n{f:#?}"));
    assert!(!html.contains("<script"));
    assert!(
        html.contains(r#"hx-vals='{"a": "\&quot;&#39;&gt;&lt;script"#),
        "{html}"
    );
    assert!(
        html.contains("<b class=\"x\">&quot;&#39;&gt;&lt;script"),
        "captures stay HTML: {html}"
    );
}

#[test]
fn findings_point_at_the_place() {
    let found = check("<p>\n  <b>x</b>\n  <i onclick=\"y\" hx-put=\"z\">w</i></p>").unwrap_err();
    assert_eq!(found.len(), 2);
    let d = super::diagnostic(
        portico_package::Severity::Error,
        "c",
        "f",
        "<p>\n  <b>x</b>\n  <i onclick=\"y\" hx-put=\"z\">w</i></p>",
        found[1].at,
        &found[1].message,
        &found[1].hint,
    );
    assert_eq!((d.line, d.column), (3, 18));
    assert!(d.hint.unwrap().contains("hx-post"));
    let found = check("<p>{{ x|uper }}</p>").unwrap_err();
    assert_eq!(found[0].hint, "did you mean `upper`?");
    let found = check("<p>\n{% endif %}</p>").unwrap_err();
    assert!(found[0].at >= 4, "{found:?}");
}

#[test]
fn errors_at_run_time_point_at_the_original_line() {
    let error = render(
        "<p>\n<!-- a\nb\n-->\n{# c\nd #}\n{{ 1 +\n 2 }}\n\n{{ 'a' + 1 }}</p>",
        serde_json::json!({}),
    )
    .unwrap_err();
    assert_eq!(error.line(), Some(10), "{error}");
}

/// Pieces of templates with branches and expressions in every kind of place.
fn piece() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "text {{ v }} ",
        "<p title=\"{{ v }}\">{{ w }}</p>",
        "<a href=\"/logs/{{ v }}?a={{ w }}\">x</a>",
        "<a href=\"{{ link(v) }}\" {% if b0 %}target=\"_blank\"{% endif %}>x</a>",
        "<b class=\"a {% if b1 %}b{% else %}c{% endif %} {{ v }}\">x</b>",
        "<i id=\"x-{{ v }}\" {% if b2 %}hidden {% else %}hx-get=\"/logs/y\"{% endif %}>{{ cap }}</i>",
        "<input value='{{ cap }}' {% if b0 %}checked {% endif %} {% if b1 %}disabled{% endif %}>",
        "<button hx-post=\"/logs/z\" hx-vals='{\"k\": \"{{ v }}\"}'>{{ m(w) }}</button>",
        "<textarea>{{ v }}{% if b2 %}{{ cap }}{% endif %}</textarea>",
        "<svg viewBox=\"0 0 1 1\"><path d=\"{{ v }}\"/></svg>",
        "{{ cap|replace('i', v) }}",
        "{{ m(v)|lower }}{{ m(cap) }}",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|v| v.concat()),
            (inner.clone(), inner.clone(), 0..3_usize).prop_map(|(a, b, n)| format!(
                "{{% if b{n} %}}{a}{{%- else -%}} {b} {{% endif %}}"
            )),
            inner.clone().prop_map(|a| format!("<div>{a}</div>")),
            inner
                .clone()
                .prop_map(|a| format!("{{% for i in list %}}{a}{{% endfor %}}")),
            inner.prop_map(|a| format!(
                "{{% with v = w %}}<section data-x=\"{{{{ v }}}}\">{a}</section>{{% endwith %}}"
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_branch_is_taken_the_output_is_clean(
        body in piece(),
        v in "[ -~]{0,24}",
        w in prop::sample::select(vec!["\"><script>", "portico-", "../..", "javascript:alert(1)", "' onload='x", "<!--", "&lt;", "//evil.example"]),
        b in any::<(bool, bool, bool)>(),
    ) {
        let source = format!("{{% macro m(x) %}}<i title=\"{{{{ x }}}}\">{{{{ x }}}}</i>{{% endmacro %}}{{% set cap %}}<i>{{{{ w }}}}</i>{{% endset %}}{body}");
        if check(&source).is_ok() {
            let html = render(&source, serde_json::json!({"v": v, "w": w, "b0": b.0, "b1": b.1, "b2": b.2, "list": [1, 2]})).unwrap();
            prop_assert!(scan_output(&html).is_ok(), "{}\n{:#?}", html, scan_output(&html));
        }
    }

    #[test]
    fn any_text_is_checked_without_a_panic(source in "(<[a-z/!-]{0,6}|[ \"'=>{}%#-]|\\{\\{ x \\}\\}|\\{% if x %\\}|\\{% endif %\\}|hx-get|[a-zäß\u{0}]){0,40}") {
        if let Ok(source) = check(&source) {
            let mut env = engine::environment(&engine::Limits::default());
            prop_assert!(env.add_template("t", &source).is_ok(), "{}", source);
        }
    }
}
