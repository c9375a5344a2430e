//! Values of htmx attributes, and others that are checked as a whole.

use crate::template::{
    rules::Rule,
    value::{Area, Complaint, EXPRESSION, Verdict, dots, lead, references, url_characters},
};

fn complain<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Complaint> {
    Err((message.into(), hint.into()))
}

/// Checks a finished value; `\u{E000}` stands for the output of an expression.
pub(crate) fn whole(rule: Rule, text: &str, area: &Area) -> Result<Verdict, Complaint> {
    match rule {
        Rule::Json | Rule::Question => {}
        _ => references(text)?,
    }
    match rule {
        Rule::OneOf(words) => one_of(words, text),
        Rule::Rel => {
            // First attribute wins in HTML, so the author's is left out and the portal's is stamped.
            let known = [
                "nofollow",
                "noopener",
                "noreferrer",
                "external",
                "next",
                "prev",
                "help",
                "license",
                "author",
                "tag",
                "bookmark",
                "search",
            ];
            match text
                .split_ascii_whitespace()
                .find(|w| !known.contains(&w.to_ascii_lowercase().as_str()))
            {
                Some(word) => complain(
                    format!("`{word}` in rel"),
                    "leave `rel` out, the portal writes it",
                ),
                None => Ok(Verdict::Drop),
            }
        }
        Rule::Name => name(text),
        Rule::Fragment => fragment(text),
        Rule::OwnOrFlag if text == "true" || text == "false" => Ok(Verdict::Keep),
        Rule::OwnOrFlag => {
            for literal in text.split(EXPRESSION) {
                url_characters(literal)?;
                dots(literal.split(['?', '#']).next().unwrap_or_default())?;
            }
            match text.find(EXPRESSION) {
                Some(0) => Ok(Verdict::Keep),
                Some(at) => lead(Rule::Own, &text[..at], true, area),
                None => lead(Rule::Own, text, false, area),
            }
        }
        Rule::Trigger => trigger(text),
        Rule::Selector => text
            .split(',')
            .try_for_each(selector)
            .map(|()| Verdict::Keep),
        Rule::Swap => swap(text),
        Rule::SelectOob => select_oob(text),
        Rule::Sync => sync(text),
        Rule::Json => json(text),
        Rule::Question => question(text),
        Rule::Boost => match text {
            "true" | "" => Ok(Verdict::Replace(super::value::BOOST)),
            "false" => Ok(Verdict::Keep),
            _ => complain(
                "a boost with settings",
                "`true` or `false`; the portal knows where pages go",
            ),
        },
        _ => Ok(Verdict::Keep),
    }
}

fn one_of(words: &[&str], text: &str) -> Result<Verdict, Complaint> {
    if words.iter().any(|w| w.eq_ignore_ascii_case(text)) {
        return Ok(Verdict::Keep);
    }
    complain(
        format!("`{text}` is not one of the values taken here"),
        words.join(", "),
    )
}

fn is_word(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | EXPRESSION))
}

/// Names of form fields: not the ones that hide what scripts ask a form.
fn name(text: &str) -> Result<Verdict, Complaint> {
    const TAKEN: &[&str] = &[
        "attributes",
        "parentnode",
        "children",
        "childnodes",
        "elements",
        "closest",
        "matches",
        "contains",
        "submit",
        "getattribute",
        "hasattribute",
        "setattribute",
        "removeattribute",
        "addeventlistener",
        "ownerdocument",
        "isconnected",
        "nodename",
        "tagname",
        "queryselector",
        "queryselectorall",
        "getrootnode",
        "innerhtml",
        "outerhtml",
        "dispatchevent",
        "reset",
        "remove",
        "_htmx",
        "_htmx_state",
        "nodetype",
        "form",
        "action",
        "method",
        "enctype",
        "classlist",
    ];
    let plain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '[' | ']' | EXPRESSION)
    };
    if text.is_empty() || !text.chars().all(plain) {
        return complain(
            "a field name with other characters than letters, digits, `-`, `_`, `.`",
            "rename the field",
        );
    }
    // Behind an expression nobody knows the whole name; a literal beginning that no script asks for settles it.
    let literal = text
        .split(EXPRESSION)
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let open = text.contains(EXPRESSION);
    let hit = TAKEN.iter().any(|t| {
        if open {
            t.starts_with(&literal)
        } else {
            *t == literal
        }
    });
    if hit || literal.starts_with("portico") {
        return complain(
            if open {
                "a field name that begins with an expression".to_owned()
            } else {
                format!("a field called `{text}`")
            },
            "scripts of the page ask a form for this; give the name a prefix of its own, such as `field-`",
        );
    }
    Ok(Verdict::Keep)
}

fn fragment(text: &str) -> Result<Verdict, Complaint> {
    match text.strip_prefix('#') {
        Some(id) if !id.is_empty() && is_word(id) && !id.contains(EXPRESSION) => Ok(Verdict::Keep),
        _ => complain(
            "a reference to elsewhere",
            "`#id` inside the same document is taken",
        ),
    }
}

/// `#id`: a literal beginning that is not the shell's, then anything plain.
fn id_selector(text: &str) -> Result<(), Complaint> {
    let id = text.strip_prefix('#').unwrap_or_default();
    let literal = id
        .split(EXPRESSION)
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if id.is_empty() || !is_word(id) {
        return complain(
            format!("`{}` is not a single id", shown(text)),
            "write `#id`",
        );
    }
    if literal.starts_with("portico-") {
        return complain(
            format!("`{}` is the portal's own", shown(text)),
            "packages reach only their own elements",
        );
    }
    if id.contains(EXPRESSION) && "portico-".starts_with(&literal) {
        return complain(
            "an id that begins with an expression",
            "write a prefix of its own, such as `#row-{{ … }}`",
        );
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.replace(EXPRESSION, "{{ … }}")
        .chars()
        .take(60)
        .collect()
}

/// A class or element that can only be the package's own.
fn simple(text: &str) -> Result<(), Complaint> {
    if text.starts_with('#') {
        return id_selector(text);
    }
    if text.contains(EXPRESSION) {
        return complain(
            "an expression in a selector",
            "only `#prefix-{{ … }}` is taken",
        );
    }
    let name = text.strip_prefix('.').unwrap_or(text);
    let class = text.starts_with('.');
    let lower = name.to_ascii_lowercase();
    let known = class || super::rules::element(&lower, false).is_some();
    if name.is_empty()
        || !is_word(name)
        || !known
        || lower.starts_with("portico-")
        || lower.starts_with("htmx-")
    {
        return complain(
            format!("`{}` is not a selector that is taken here", shown(text)),
            "one class or element of the package: `.card`, `tr`",
        );
    }
    Ok(())
}

fn selector(text: &str) -> Result<(), Complaint> {
    let text = text.trim();
    match text {
        "this" | "next" | "previous" => return Ok(()),
        _ => {}
    }
    if let Some(rest) = text
        .strip_prefix("closest ")
        .or_else(|| text.strip_prefix("find "))
    {
        return simple(rest.trim());
    }
    if text.starts_with('#') {
        return id_selector(text);
    }
    complain(
        format!("`{}` may lead outside of the package", shown(text)),
        "`this`, `#id`, `find .class`, `closest .class`, `next` and `previous` are taken",
    )
}

fn swap(text: &str) -> Result<Verdict, Complaint> {
    const STYLES: &[&str] = &[
        "innerHTML",
        "outerHTML",
        "innerMorph",
        "outerMorph",
        "textContent",
        "beforebegin",
        "afterbegin",
        "beforeend",
        "afterend",
        "before",
        "after",
        "prepend",
        "append",
        "delete",
        "none",
    ];
    let mut words = text.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    if !STYLES.contains(&first) {
        return complain(format!("`{first}` is not a way to swap"), STYLES.join(", "));
    }
    for word in words {
        let ok = match word.split_once(':') {
            Some(("swap" | "settle", time)) => is_time(time),
            Some(("scroll" | "show", "top" | "bottom" | "none")) => true,
            Some(("transition" | "ignoreTitle" | "focusScroll" | "strip", "true" | "false")) => {
                true
            }
            _ => false,
        };
        if !ok {
            return complain(
                format!("`{word}` behind the way to swap"),
                "swap:, settle:, scroll:top, show:top, transition:true are taken",
            );
        }
    }
    Ok(Verdict::Keep)
}

fn is_time(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && matches!(unit, "ms" | "s" | "m" | "")
}

fn select_oob(text: &str) -> Result<Verdict, Complaint> {
    for part in text.split(',') {
        let (id, how) = part.trim().split_once(':').unwrap_or((part.trim(), "true"));
        id_selector(id)?;
        if !["true", "outerHTML", "innerHTML", "outerMorph", "innerMorph"].contains(&how) {
            return complain(
                format!("`{how}` behind the id"),
                "true, outerHTML, innerHTML, outerMorph, innerMorph",
            );
        }
    }
    Ok(Verdict::Keep)
}

fn sync(text: &str) -> Result<Verdict, Complaint> {
    let (target, strategy) = text.rsplit_once(':').unwrap_or(("this", text));
    if ![
        "drop",
        "abort",
        "replace",
        "queue",
        "queue first",
        "queue last",
        "queue all",
    ]
    .contains(&strategy.trim())
    {
        return complain(
            format!("`{}` is not a way to queue", shown(strategy)),
            "drop, abort, replace, queue first, queue last, queue all",
        );
    }
    selector(target).map(|()| Verdict::Keep)
}

/// Event names with modifiers; no filters, since those are code.
fn trigger(text: &str) -> Result<Verdict, Complaint> {
    let odd = |c: char| {
        !(c.is_ascii_alphanumeric()
            || matches!(
                c,
                ' ' | '\n' | '\t' | ',' | ':' | '-' | '_' | '.' | '#' | '%'
            ))
    };
    if let Some(c) = text.chars().find(|c| odd(*c)) {
        return complain(
            format!("`{}` in a trigger", shown(&c.to_string())),
            "events with delay:, throttle:, changed, once, from: are taken; filters are code and are not",
        );
    }
    for spec in text.split(',') {
        let mut words = spec.split_ascii_whitespace();
        let Some(event) = words.next() else {
            return complain("an empty trigger", "write an event, such as `click`");
        };
        if event == "every" && !words.next().is_some_and(is_time) {
            return complain("`every` without a time", "`every 30s`");
        }
        for word in words {
            match word.split_once(':') {
                None if [
                    "once", "changed", "consume", "prevent", "stop", "halt", "capture", "passive",
                ]
                .contains(&word) => {}
                Some(("delay" | "throttle", time)) if is_time(time) => {}
                Some(("threshold", n)) if n.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {}
                Some((
                    "from",
                    "body" | "document" | "window" | "self" | "outside" | "this" | "next"
                    | "previous",
                )) => {}
                Some(("from", id)) if id.starts_with('#') => id_selector(id)?,
                _ => {
                    return complain(
                        format!("`{word}` in a trigger"),
                        "once, changed, delay:500ms, throttle:1s, from:body, from:#id are taken",
                    );
                }
            }
        }
    }
    Ok(Verdict::Keep)
}

/// A JSON object of plain values; expressions stand inside strings.
fn json(text: &str) -> Result<Verdict, Complaint> {
    let hint = r#"write a JSON object of plain values: '{"id": "{{ item.id }}"}'"#;
    let plain = text
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'");
    references(&plain)?;
    let plain = plain.replace("&amp;", "&");
    if !plain.starts_with('{') {
        return complain("values that are not a JSON object", hint);
    }
    let object: serde_json::Map<String, serde_json::Value> = match serde_json::from_str(&plain) {
        Ok(object) => object,
        Err(e) => {
            return complain(
                format!(
                    "not a JSON object: {}",
                    e.to_string().replace(EXPRESSION, "{{ … }}")
                ),
                hint,
            );
        }
    };
    for (key, value) in &object {
        if key.contains(EXPRESSION) || value.is_array() || value.is_object() {
            return complain(
                format!("`{}` holds more than a plain value", shown(key)),
                hint,
            );
        }
    }
    Ok(Verdict::Keep)
}

/// A sentence; htmx runs what begins with `js:`.
fn question(text: &str) -> Result<Verdict, Complaint> {
    references(text)?;
    let start = text.trim_start().to_ascii_lowercase();
    let literal = start.split(EXPRESSION).next().unwrap_or_default();
    let open = start.contains(EXPRESSION);
    let code = |word: &str| literal.starts_with(word) || (open && word.starts_with(literal));
    if literal.is_empty() || code("js:") || code("javascript:") {
        return complain(
            "a question that may be code",
            "begin with plain words: `Remove {{ name }}?`",
        );
    }
    Ok(Verdict::Keep)
}
