//! What the HTML of a package may consist of: elements, attributes, and what each attribute's value must be.
//!
//! Everything that is not listed is refused. The names of the elements around package content
//! (`html`, `body`, `main`, `portico-package`) must never be listed: HTML closes open elements by name.

/// How an element behaves in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Content and an end tag.
    Normal,
    /// No content, no end tag.
    Void,
    /// Content is text until the end tag, with character references but without tags.
    Text,
    /// An element of SVG.
    Svg,
}

/// What the value of an attribute must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Any text.
    Text,
    /// Present or not; a value is text that nobody reads.
    Flag,
    /// Text of SVG: no reference but to its own document.
    Paint,
    /// One id (`id`, `for`, …): not one of the shell's.
    Id,
    /// Words separated by spaces (`class`, `aria-labelledby`, …): not ones of the shell.
    Words,
    /// A name of a form field.
    Name,
    /// One of these words, written out.
    OneOf(&'static [&'static str]),
    /// Words out of these, written out; dropped and drawn by the portal where needed.
    Rel,
    /// Where a link leads.
    Href,
    /// Where an image comes from.
    ImageSource,
    /// An element of the same document: `#id`.
    Fragment,
    /// An address of the package itself: form actions and htmx requests.
    Own,
    /// `true`, `false` or an address of the package itself.
    OwnOrFlag,
    /// htmx: when a request is made.
    Trigger,
    /// htmx: one element near by.
    Selector,
    /// htmx: where the answer goes.
    Swap,
    /// htmx: `#id`s of the answer that go elsewhere.
    SelectOob,
    /// htmx: queueing.
    Sync,
    /// htmx: a JSON object of plain values.
    Json,
    /// htmx: a question; not code.
    Question,
    /// htmx: whether links and forms inside go through htmx.
    Boost,
}

const NORMAL: &[&str] = &[
    "a",
    "abbr",
    "address",
    "article",
    "aside",
    "b",
    "bdi",
    "bdo",
    "blockquote",
    "button",
    "caption",
    "cite",
    "code",
    "colgroup",
    "data",
    "datalist",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "i",
    "ins",
    "kbd",
    "label",
    "legend",
    "li",
    "mark",
    "menu",
    "meter",
    "ol",
    "optgroup",
    "option",
    "output",
    "p",
    "pre",
    "progress",
    "q",
    "s",
    "samp",
    "search",
    "section",
    "select",
    "small",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "u",
    "ul",
    "var",
];
const VOID: &[&str] = &["br", "col", "hr", "img", "input", "wbr"];
const SVG: &[&str] = &[
    "svg",
    "g",
    "path",
    "circle",
    "ellipse",
    "rect",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "title",
    "desc",
    "defs",
    "symbol",
    "use",
    "lineargradient",
    "radialgradient",
    "stop",
    "clippath",
    "mask",
    "pattern",
];

/// The element called `name` (lower case); `in_svg` tells whether it stands inside `<svg>`.
pub(crate) fn element(name: &str, in_svg: bool) -> Option<(&'static str, Kind)> {
    let find = |list: &'static [&'static str]| list.iter().copied().find(|n| *n == name);
    if in_svg || name == "svg" {
        return find(SVG).map(|n| (n, Kind::Svg));
    }
    if name == "textarea" {
        return Some(("textarea", Kind::Text));
    }
    find(NORMAL)
        .map(|n| (n, Kind::Normal))
        .or_else(|| find(VOID).map(|n| (n, Kind::Void)))
}

/// What to write instead of a refused element.
pub(crate) fn element_hint(name: &str) -> &'static str {
    match name {
        "script" => "packages of runtime `static` bring no scripts; use hx-* attributes",
        "style" => "write the style into static/style.css, it is linked by itself",
        "link" | "meta" | "head" | "html" | "body" | "base" | "title" => {
            "the portal draws the document; a template is only the content of the page"
        }
        "main" | "nav" | "dialog" => {
            "the portal's own frame uses this element; write <section> or <div>"
        }
        "iframe" | "object" | "embed" | "frame" => "packages of runtime `static` embed nothing",
        "template" => "write the content itself",
        n if n.contains('-') => {
            "custom elements need scripts, which packages of runtime `static` do not bring"
        }
        _ => "only plain sections, text, lists, tables, forms, images and simple SVG are taken",
    }
}

/// Elements that `name` must stand directly inside; `None` for anywhere.
pub(crate) fn parents(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "li" => &["ul", "ol", "menu"],
        "dt" | "dd" => &["dl", "div"],
        "thead" | "tbody" | "tfoot" | "caption" | "colgroup" => &["table"],
        "tr" => &["table", "thead", "tbody", "tfoot"],
        "td" | "th" => &["tr"],
        "col" => &["colgroup"],
        "option" => &["select", "optgroup", "datalist"],
        "optgroup" => &["select"],
        "summary" => &["details"],
        "legend" => &["fieldset"],
        _ => return None,
    })
}

/// Elements that may stand directly inside `name`; `None` for any.
pub(crate) fn children(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "ul" | "ol" | "menu" => &["li"],
        "dl" => &["dt", "dd", "div"],
        "table" => &["caption", "colgroup", "thead", "tbody", "tfoot", "tr"],
        "thead" | "tbody" | "tfoot" => &["tr"],
        "tr" => &["td", "th"],
        "colgroup" => &["col"],
        "select" => &["option", "optgroup", "hr"],
        "optgroup" | "datalist" => &["option"],
        "option" | "title" | "desc" => &[],
        _ => return None,
    })
}

/// Elements that must not stand anywhere inside `name`: the browser would close `name` for them.
pub(crate) fn not_inside(name: &str) -> &'static [&'static str] {
    match name {
        "a" => &[
            "a", "button", "input", "select", "textarea", "label", "details",
        ],
        "button" => &[
            "a", "button", "input", "select", "textarea", "label", "details", "form",
        ],
        "form" => &["form"],
        "label" => &["label"],
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "pre" => &[
            "p",
            "div",
            "section",
            "article",
            "aside",
            "header",
            "footer",
            "ul",
            "ol",
            "menu",
            "dl",
            "table",
            "form",
            "fieldset",
            "figure",
            "figcaption",
            "blockquote",
            "pre",
            "hr",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hgroup",
            "details",
            "address",
            "search",
            "li",
            "dd",
            "dt",
        ],
        _ => &[],
    }
}

/// The rule of attribute `name` (lower case) on `element`; `None` refuses it.
pub(crate) fn attribute(element: &str, kind: Kind, name: &str) -> Option<Rule> {
    use Rule::*;
    if let Some(hx) = name.strip_prefix("hx-") {
        return if kind == Kind::Svg { None } else { htmx(hx) };
    }
    if let Some(rest) = name.strip_prefix("aria-") {
        let ok = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase());
        return match rest {
            _ if !ok => None,
            "controls" | "describedby" | "details" | "errormessage" | "flowto" | "labelledby"
            | "owns" | "activedescendant" => Some(Words),
            _ => Some(Text),
        };
    }
    if let Some(rest) = name.strip_prefix("data-") {
        let first = rest.split('-').next().unwrap_or_default();
        let taken = [
            "hx",
            "htmx",
            "portico",
            "package",
            "owner",
            "kind",
            "generation",
            "section",
            "id",
        ];
        let ok = rest
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        return (ok && !first.is_empty() && !taken.contains(&first)).then_some(Text);
    }
    if kind == Kind::Svg {
        return svg_attribute(element, name);
    }
    Some(match (element, name) {
        (_, "id") => Id,
        (_, "class") => Words,
        (_, "title" | "lang" | "role" | "translate") => Text,
        (_, "hidden") => Flag,
        (_, "dir") => OneOf(&["ltr", "rtl", "auto"]),
        (_, "tabindex") => OneOf(&["0", "-1"]),
        ("a", "href") => Href,
        ("a", "target") => OneOf(&["_blank", "_self"]),
        ("a", "rel") => Rel,
        ("a", "download") => Flag,
        ("img", "src") => ImageSource,
        ("img", "alt" | "width" | "height") => Text,
        ("img", "loading") => OneOf(&["lazy", "eager"]),
        ("img", "decoding") => OneOf(&["async", "sync", "auto"]),
        ("form", "action") => Own,
        ("form", "method") => OneOf(&["get", "post"]),
        ("form", "novalidate") => Flag,
        ("form" | "input", "autocomplete") => OneOf(&["on", "off"]),
        ("input", "type") => OneOf(&[
            "text",
            "search",
            "number",
            "checkbox",
            "radio",
            "range",
            "date",
            "time",
            "datetime-local",
            "month",
            "week",
            "email",
            "url",
            "tel",
            "color",
            "hidden",
            "submit",
            "reset",
            "button",
        ]),
        ("button", "type") => OneOf(&["submit", "reset", "button"]),
        (
            "input" | "select" | "textarea" | "button" | "output" | "fieldset" | "details",
            "name",
        ) => Name,
        ("input" | "button" | "option" | "li" | "data" | "meter" | "progress", "value") => Text,
        (
            "input" | "textarea",
            "placeholder" | "min" | "max" | "step" | "minlength" | "maxlength" | "size"
            | "inputmode" | "pattern" | "rows" | "cols" | "spellcheck",
        ) => Text,
        ("input" | "select" | "textarea", "required" | "readonly" | "multiple" | "checked") => Flag,
        (
            "input" | "select" | "textarea" | "button" | "option" | "optgroup" | "fieldset",
            "disabled",
        ) => Flag,
        ("input" | "select" | "textarea" | "button" | "output" | "fieldset", "form") => Id,
        ("input", "list") => Id,
        ("select", "size") => Text,
        ("option", "selected") => Flag,
        ("option" | "optgroup", "label") => Text,
        ("label", "for") => Id,
        ("output", "for") => Words,
        ("meter" | "progress", "max" | "min" | "low" | "high" | "optimum") => Text,
        ("details", "open") => Flag,
        ("time" | "del" | "ins", "datetime") => Text,
        ("td" | "th", "colspan" | "rowspan" | "abbr") => Text,
        ("td" | "th", "headers") => Words,
        ("th", "scope") => OneOf(&["row", "col", "rowgroup", "colgroup"]),
        ("col" | "colgroup", "span") => Text,
        ("ol", "start" | "type") => Text,
        ("ol", "reversed") => Flag,
        _ => return None,
    })
}

fn svg_attribute(element: &str, name: &str) -> Option<Rule> {
    const PAINT: &[&str] = &[
        "d",
        "cx",
        "cy",
        "r",
        "rx",
        "ry",
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "dx",
        "dy",
        "fx",
        "fy",
        "width",
        "height",
        "points",
        "viewbox",
        "preserveaspectratio",
        "transform",
        "fill",
        "fill-opacity",
        "fill-rule",
        "stroke",
        "stroke-width",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-dasharray",
        "stroke-dashoffset",
        "stroke-opacity",
        "stroke-miterlimit",
        "opacity",
        "clip-path",
        "clip-rule",
        "mask",
        "offset",
        "stop-color",
        "stop-opacity",
        "gradientunits",
        "gradienttransform",
        "patternunits",
        "patterntransform",
        "pathlength",
        "text-anchor",
        "dominant-baseline",
        "font-size",
        "font-weight",
        "font-family",
        "vector-effect",
        "xmlns",
        "version",
    ];
    match name {
        "id" => Some(Rule::Id),
        "class" => Some(Rule::Words),
        "role" | "focusable" => Some(Rule::Text),
        "href" if element == "use" => Some(Rule::Fragment),
        _ => PAINT.contains(&name).then_some(Rule::Paint),
    }
}

/// `name` without `hx-`, possibly with `:inherited`.
fn htmx(name: &str) -> Option<Rule> {
    use Rule::*;
    let (base, inherited) = match name.split_once(':') {
        None => (name, false),
        Some((base, "inherited")) => (base, true),
        // `:append` joins values as text and drops braces; statuses and events can name any target.
        Some(_) => return None,
    };
    let rule = match base {
        "get" | "post" => Own,
        "push-url" | "replace-url" => OwnOrFlag,
        "trigger" => Trigger,
        "target" | "indicator" | "include" | "disable" | "select" => Selector,
        "select-oob" => SelectOob,
        "swap" => Swap,
        "swap-oob" => OneOf(&[
            "true",
            "outerHTML",
            "innerHTML",
            "outerMorph",
            "innerMorph",
            "beforeend",
            "afterbegin",
            "beforebegin",
            "afterend",
            "delete",
        ]),
        "vals" => Json,
        "confirm" => Question,
        "sync" => Sync,
        "boost" => Boost,
        "preserve" => Flag,
        "validate" => OneOf(&["true", "false"]),
        _ => return None,
    };
    let may_be_inherited = !matches!(
        base,
        "get" | "post" | "trigger" | "preserve" | "swap-oob" | "select-oob"
    );
    (!inherited || may_be_inherited).then_some(rule)
}

/// What to write instead of a refused attribute.
pub(crate) fn attribute_hint(name: &str) -> &'static str {
    match name {
        "style" => "write the style into static/style.css",
        "hx-on" => "packages of runtime `static` bring no scripts",
        n if n.starts_with("hx-on") || n.starts_with("on") => {
            "packages of runtime `static` bring no scripts"
        }
        "hx-headers" | "hx-config" | "hx-ext" => "requests of a package are ordinary ones",
        "hx-disabled-elt" => "htmx 4 calls this `hx-disable`",
        "hx-put" | "hx-patch" | "hx-delete" | "hx-query" | "hx-action" | "hx-method" => {
            "packages of runtime `static` answer GET and POST: use hx-get and hx-post"
        }
        n if n.starts_with("data-") => "this data- attribute belongs to the portal or to htmx",
        n if n.ends_with(":append") => "only `:inherited` is taken",
        "nonce" | "hx-nonce" => "the portal stamps it",
        "popover" | "popovertarget" | "autofocus" | "accesskey" => {
            "only the portal's frame may do this"
        }
        "srcset" => "write one src",
        _ => "this attribute is not taken here",
    }
}
