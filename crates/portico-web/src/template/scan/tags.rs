//! Reading literal text: tags, attributes, values.

use super::{Attribute, Open, Reading, Scanned, Scanner, State, Tag};
use crate::template::{
    rules::{self, Kind, Rule},
    value::{Value, Verdict},
};

impl Scanner<'_> {
    pub(super) fn text<'t>(&mut self, rest: &'t str, at: usize) -> Scanned<&'t str> {
        let end = rest.find('<').unwrap_or(rest.len());
        if let Some(i) = control(&rest[..end]) {
            return self.stop(at + i, "a control character", "remove it");
        }
        self.out.literal(&rest[..end]);
        let rest = &rest[end..];
        let at = at + end;
        if rest.is_empty() {
            return Ok(rest);
        }
        if let Some(comment) = rest.strip_prefix("<!--") {
            return match comment.find("-->") {
                Some(n) => Ok(&comment[n + 3..]),
                None => self.stop(
                    at,
                    "an HTML comment that is not closed here",
                    "template tags inside a comment: write `{# … #}`",
                ),
            };
        }
        if let Some(tag) = rest.strip_prefix("</") {
            return self.end_tag(tag, at);
        }
        let n = rest[1..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == ':'))
            .unwrap_or(rest.len() - 1);
        if n == 0 || !rest.as_bytes()[1].is_ascii_alphabetic() {
            return self.stop(at, "`<` that begins no tag", "write `&lt;`");
        }
        self.start_tag(&rest[1..=n], at)?;
        Ok(&rest[n + 1..])
    }

    fn end_tag<'t>(&mut self, rest: &'t str, at: usize) -> Scanned<&'t str> {
        let Some(close) = rest.find('>') else {
            return self.stop(at, "an end tag that is not finished", "write `</name>`");
        };
        let name = rest[..close]
            .trim_end_matches([' ', '\t', '\n', '\r'])
            .to_ascii_lowercase();
        let Some(open) = self.stack.last().cloned() else {
            return self.stop(
                at,
                format!("</{name}> closes nothing"),
                "remove it, or open the element before",
            );
        };
        if open.name != name {
            return self.stop(
                at,
                format!("</{name}> where </{}> is expected", open.name),
                "close elements in the reverse order of opening them; write every end tag",
            );
        }
        if self.stack.len() <= self.floor {
            return self.stop(
                at,
                format!("</{name}> closes an element that was opened outside of this branch"),
                "open and close an element in the same branch",
            );
        }
        self.stack.pop();
        self.out.literal("</");
        self.out.literal(&name);
        self.out.literal(">");
        Ok(&rest[close + 1..])
    }

    fn start_tag(&mut self, written: &str, at: usize) -> Scanned<()> {
        let name = written.to_ascii_lowercase();
        let in_svg = self.stack.iter().any(|o| o.name == "svg");
        let Some((name, kind)) = rules::element(&name, in_svg) else {
            return self.stop(
                at,
                format!(
                    "<{name}> is not taken{}",
                    if in_svg { " inside <svg>" } else { "" }
                ),
                rules::element_hint(&name),
            );
        };
        if let Some(parent) = self.stack.last() {
            let wrong = rules::parents(name)
                .is_some_and(|p| !p.contains(&parent.name) && kind != Kind::Svg)
                || rules::children(parent.name).is_some_and(|c| !c.contains(&name));
            if wrong {
                let parent = parent.name;
                let hint = match rules::parents(name) {
                    Some(p) => format!("put it directly inside <{}>", p.join("> or <")),
                    None => format!(
                        "<{parent}> holds only {}",
                        rules::children(parent).map_or_else(String::new, |c| if c.is_empty() {
                            "text".into()
                        } else {
                            format!("<{}>", c.join(">, <"))
                        })
                    ),
                };
                return self.stop(at, format!("<{name}> directly inside <{parent}>"), hint);
            }
        }
        if let Some(outer) = self
            .stack
            .iter()
            .find(|o| rules::not_inside(o.name).contains(&name))
        {
            let outer = outer.name;
            return self.stop(at, format!("<{name}> inside <{outer}>"), format!("the browser would close <{outer}> or take the click for it; close <{outer}> before"));
        }
        self.serial += 1;
        self.out.literal("<");
        // SVG names keep their capitals (`linearGradient`).
        self.out
            .literal(if kind == Kind::Svg { written } else { name });
        self.state = State::Tag(Tag {
            serial: self.serial,
            at,
            name,
            kind,
            space: false,
            htmx: false,
            external: false,
        });
        Ok(())
    }

    pub(super) fn raw<'t>(&mut self, rest: &'t str, at: usize) -> Scanned<&'t str> {
        self.state = State::Raw;
        let end = rest.find('<').unwrap_or(rest.len());
        if let Some(i) = control(&rest[..end]) {
            return self.stop(at + i, "a control character", "remove it");
        }
        self.out.literal(&rest[..end]);
        let rest = &rest[end..];
        if rest.is_empty() {
            return Ok(rest);
        }
        let close = self
            .stack
            .last()
            .map(|o| format!("</{}>", o.name))
            .unwrap_or_default();
        if !rest
            .get(..close.len())
            .is_some_and(|r| r.eq_ignore_ascii_case(&close))
        {
            return self.stop(at + end, format!("`<` before {close}"), "write `&lt;`");
        }
        self.state = State::Text;
        self.end_tag(&rest[2..], at + end)
    }

    pub(super) fn tag<'t>(&mut self, mut tag: Tag, rest: &'t str, at: usize) -> Scanned<&'t str> {
        let first = rest.as_bytes()[0];
        if matches!(first, b' ' | b'\t' | b'\n' | b'\r') {
            let n = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.out.literal(&rest[..n]);
            tag.space = true;
            self.state = State::Tag(tag);
            return Ok(&rest[n..]);
        }
        if first == b'>' {
            self.close_tag(tag, false);
            return Ok(&rest[1..]);
        }
        if first == b'/' {
            if !rest.starts_with("/>") {
                return self.stop(at, "`/` inside a tag", "values stand in quotes");
            }
            if tag.kind != Kind::Void && tag.kind != Kind::Svg {
                let name = tag.name;
                return self.stop(
                    at,
                    format!("<{name}/> closes nothing: browsers ignore the slash"),
                    format!("write <{name}></{name}>"),
                );
            }
            self.close_tag(tag, true);
            return Ok(&rest[2..]);
        }
        if !first.is_ascii_alphabetic() {
            return self.stop(
                at,
                format!(
                    "`{}` inside a tag",
                    rest.chars().next().unwrap_or_default().escape_default()
                ),
                "attributes are written `name=\"value\"`",
            );
        }
        if !tag.space {
            return self.stop(
                at,
                "an attribute right behind something else",
                "write a space before it",
            );
        }
        self.attribute(tag, rest, at)
    }

    fn attribute<'t>(&mut self, mut tag: Tag, rest: &'t str, at: usize) -> Scanned<&'t str> {
        let n = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.')))
            .unwrap_or(rest.len());
        let name = rest[..n].to_ascii_lowercase();
        let rule = match self.reading {
            // Stamped, or holding values whose literal part was checked in the template.
            Reading::Output
                if matches!(
                    name.as_str(),
                    "hx-nonce" | "rel" | "hx-boost" | "hx-vals" | "hx-confirm"
                ) =>
            {
                Some(Rule::Text)
            }
            _ => rules::attribute(tag.name, tag.kind, &name),
        };
        let rule = rule.unwrap_or_else(|| {
            self.complain(
                at,
                format!("the attribute `{name}` on <{}> is not taken", tag.name),
                rules::attribute_hint(&name),
            );
            Rule::Text
        });
        tag.htmx |= name.starts_with("hx-");
        tag.space = false;
        let from = self.out.position();
        self.out.literal(&rest[..n]);
        let after = &rest[n..];
        if !after.starts_with('=') {
            let bare = after.trim_start_matches([' ', '\t', '\n', '\r']);
            if bare.starts_with('=') {
                return self.stop(at + n, "a space before `=`", "write `name=\"value\"`");
            }
            let empty = match rule {
                Rule::Flag | Rule::Text => Ok(Verdict::Keep),
                _ => Value::new(rule).finish(rule, self.area),
            };
            match empty {
                Ok(Verdict::Replace(text)) => self.out.literal(&format!("='{text}'")),
                Ok(Verdict::Drop) => self.out.truncate(from),
                Ok(_) => {}
                Err((message, hint)) => self.complain(at, message, hint),
            }
            self.state = State::Tag(tag);
            return Ok(after);
        }
        let Some(quote) = after[1..].chars().next() else {
            return self.stop(
                at + n,
                format!("an unquoted value of `{name}`"),
                "put the value in quotes",
            );
        };
        let value_at = at + n + 1;
        if matches!(quote, '"' | '\'') {
            self.out.literal(&after[..2]);
            let value_from = self.out.position().0;
            let value = Value::new(rule);
            self.state = State::Value(
                tag,
                Attribute {
                    at,
                    name,
                    rule,
                    quote,
                    value,
                    from,
                    value_from,
                },
            );
            return Ok(&after[2..]);
        }
        let text = &after[1..];
        let len = text
            .find(|c: char| {
                !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '#' | '%'))
            })
            .unwrap_or(text.len());
        let ends = text[len..].starts_with([' ', '\t', '\n', '\r', '>']);
        if len == 0 || !ends {
            return self.stop(
                value_at,
                format!("an unquoted value of `{name}`"),
                "put the value in quotes",
            );
        }
        // Written with quotes, so that nothing that follows can join it.
        self.out.literal("=\"");
        let value_from = self.out.position().0;
        self.out.literal(&text[..len]);
        let mut value = Value::new(rule);
        if let Err((message, hint)) = value.literal(rule, &text[..len]) {
            self.complain(value_at, message, hint);
        }
        let attribute = Attribute {
            at,
            name,
            rule,
            quote: '"',
            value,
            from,
            value_from,
        };
        self.close_value(tag, attribute);
        Ok(&text[len..])
    }

    pub(super) fn value<'t>(
        &mut self,
        tag: Tag,
        mut attribute: Attribute,
        rest: &'t str,
        at: usize,
    ) -> Scanned<&'t str> {
        let end = rest.find(attribute.quote);
        let run = &rest[..end.unwrap_or(rest.len())];
        if let Err((message, hint)) = attribute.value.literal(attribute.rule, run) {
            self.complain(at, format!("{message} (in `{}`)", attribute.name), hint);
        }
        self.out.literal(run);
        match end {
            None => {
                self.state = State::Value(tag, attribute);
                Ok("")
            }
            Some(end) => {
                self.close_value(tag, attribute);
                Ok(&rest[end + 1..])
            }
        }
    }

    fn close_value(&mut self, mut tag: Tag, attribute: Attribute) {
        let Attribute {
            at,
            name,
            rule,
            quote,
            value,
            from,
            value_from,
        } = attribute;
        let close = if quote == '"' { "\"" } else { "'" };
        match value.finish(rule, self.area) {
            Ok(Verdict::Keep) => self.out.literal(close),
            Ok(Verdict::KeepExternal) => {
                tag.external = true;
                self.out.literal(close);
            }
            Ok(Verdict::Mount(n)) => {
                self.out.replace(value_from, n, "{{ __mount }}");
                self.out.literal(close);
            }
            Ok(Verdict::Drop) => self.out.truncate(from),
            Ok(Verdict::Replace(text)) => {
                self.out.truncate(from);
                self.out.literal(&format!("{name}='{text}'"));
            }
            Err((message, hint)) => {
                self.complain(at, format!("{message} (in `{name}`)"), hint);
                self.out.literal(close);
            }
        }
        tag.external |= name == "target";
        self.state = State::Tag(tag);
    }

    fn close_tag(&mut self, tag: Tag, closed: bool) {
        if self.reading == Reading::Template {
            if tag.htmx {
                self.out.code(" hx-nonce=\"{{ __nonce }}\"");
            }
            if tag.name == "a" && tag.external {
                self.out.literal(" rel=\"noopener noreferrer\"");
            }
        }
        self.out.literal(if closed { "/>" } else { ">" });
        self.state = State::Text;
        if tag.kind == Kind::Void || closed {
            return;
        }
        self.stack.push(Open {
            name: tag.name,
            at: tag.at,
        });
        if tag.kind == Kind::Text {
            self.state = State::Raw;
        }
    }
}

fn control(text: &str) -> Option<usize> {
    text.find(|c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}
