//! Filters and tests of templates: the engine's where they are harmless, our own where they would keep text
//! "safe" that they change, or make much out of little.

use minijinja::{
    Environment, Error, ErrorKind, State, Value, filters as builtin,
    functions::Function,
    tests as is,
    value::{FunctionArgs, FunctionResult, Rest, ValueKind},
};

use crate::{
    engine::{
        meter::{charge, charge_string, current},
        text::to_text,
    },
    language::Language,
    link,
};

/// Adds them.
pub(crate) fn install(env: &mut Environment<'static>) {
    strings(env);
    lists(env);
    values(env);
    stamps(env);
    tests(env);
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Text filters answer plain text, whatever came in, so that it is escaped.
fn text_filter(
    env: &mut Environment<'static>,
    name: &'static str,
    f: impl Fn(&str) -> String + Send + Sync + 'static,
) {
    env.add_filter(name, move |value: Value| -> Result<String, Error> {
        let text = to_text(&value)?;
        charge_string(text.len() * 2)?;
        Ok(f(&text))
    });
}

fn strings(env: &mut Environment<'static>) {
    text_filter(env, "lower", str::to_lowercase);
    text_filter(env, "upper", str::to_uppercase);
    text_filter(env, "string", str::to_owned);
    text_filter(env, "urlencode", link::query_part);
    text_filter(env, "title", |s| {
        let mut start = true;
        let mut out = String::with_capacity(s.len());
        for c in s.chars() {
            if start {
                out.extend(c.to_uppercase())
            } else {
                out.extend(c.to_lowercase())
            }
            start = !(c.is_alphanumeric() || c == '\'');
        }
        out
    });
    text_filter(env, "capitalize", |s| {
        let mut chars = s.chars();
        chars.next().map_or_else(String::new, |c| {
            c.to_uppercase()
                .chain(chars.flat_map(char::to_lowercase))
                .collect()
        })
    });
    env.add_filter(
        "trim",
        |value: Value, chars: Option<String>| -> Result<String, Error> {
            let text = to_text(&value)?;
            charge_string(text.len())?;
            Ok(match chars {
                Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
                None => text.trim().to_owned(),
            })
        },
    );
    env.add_filter(
        "truncate",
        |value: Value, length: Option<usize>| -> Result<String, Error> {
            let text = to_text(&value)?;
            charge_string(text.len())?;
            let length = length.unwrap_or(80).max(1);
            Ok(match text.char_indices().nth(length) {
                None => text.into_owned(),
                Some(_) => {
                    let end = text.char_indices().nth(length - 1).map_or(0, |(i, _)| i);
                    format!("{}…", text[..end].trim_end())
                }
            })
        },
    );
    env.add_filter(
        "replace",
        |value: Value, from: Value, to: Value| -> Result<String, Error> {
            let (text, from, to) = (to_text(&value)?, to_text(&from)?, to_text(&to)?);
            let times = if from.is_empty() {
                text.chars().count() + 1
            } else {
                text.matches(from.as_ref()).count()
            };
            charge_string(text.len().saturating_add(times.saturating_mul(to.len())))?;
            Ok(text.replace(from.as_ref(), &to))
        },
    );
    env.add_filter(
        "split",
        |value: Value, by: Option<String>, most: Option<usize>| -> Result<Value, Error> {
            let text = to_text(&value)?;
            charge(text.len() * 4)?;
            let most = most.map_or(usize::MAX, |m| m.saturating_add(1));
            Ok(Value::from(match by.filter(|b| !b.is_empty()) {
                Some(by) => text
                    .splitn(most, by.as_str())
                    .map(Value::from)
                    .collect::<Vec<_>>(),
                None => text.split_whitespace().map(Value::from).collect(),
            }))
        },
    );
    env.add_filter("lines", |value: Value| -> Result<Value, Error> {
        let text = to_text(&value)?;
        charge(text.len() * 4)?;
        Ok(Value::from(
            text.lines().map(Value::from).collect::<Vec<_>>(),
        ))
    });
    env.add_filter(
        "join",
        |value: Value, by: Option<Value>| -> Result<String, Error> {
            let by = by.unwrap_or_default();
            let by = to_text(&by)?;
            let mut out = String::new();
            if value.is_undefined() || value.is_none() {
                return Ok(out);
            }
            for (i, item) in value.try_iter()?.enumerate() {
                let text = to_text(&item)?;
                charge(text.len() + by.len())?;
                charge_string(out.len() + text.len() + by.len()).map(drop)?;
                if i > 0 {
                    out.push_str(&by);
                }
                out.push_str(&text);
            }
            Ok(out)
        },
    );
    env.add_filter("escape", builtin::escape);
    env.add_filter("e", builtin::escape);
    env.add_filter(
        "tojson",
        |state: &mut State, args: Rest<Value>| -> Result<Value, Error> {
            // What the text of a value may be, its JSON may be too; the engine's own writer has no limit.
            let size = args
                .0
                .first()
                .map_or(Ok(0), |v| to_text(v).map(|t| t.len()))?;
            charge_string(size * 2)?;
            Value::from_function(builtin::tojson).call(state, &args.0)
        },
    );
}

/// A filter of the engine on a list: pays for a copy of the list, and sees text as plain.
fn list_filter<F, Rv, Args>(env: &mut Environment<'static>, name: &'static str, f: F)
where
    F: Function<Rv, Args>,
    Rv: FunctionResult,
    Args: for<'a> FunctionArgs<'a>,
{
    let filter = Value::from_function(f);
    env.add_filter(
        name,
        move |state: &mut State, args: Rest<Value>| -> Result<Value, Error> {
            let mut args = args.0;
            if let Some(first) = args.first_mut() {
                if let Some(text) = first.as_str() {
                    charge(text.len() * 32)?;
                    if first.is_safe() {
                        *first = Value::from(text.to_owned());
                    }
                } else {
                    charge(first.len().unwrap_or(0) * 32)?;
                }
            }
            filter.call(state, &args)
        },
    );
}

fn lists(env: &mut Environment<'static>) {
    list_filter(env, "length", builtin::length);
    list_filter(env, "count", builtin::length);
    list_filter(env, "dictsort", builtin::dictsort);
    list_filter(env, "items", builtin::items);
    list_filter(env, "reverse", builtin::reverse);
    list_filter(env, "first", builtin::first);
    list_filter(env, "last", builtin::last);
    list_filter(env, "min", builtin::min);
    list_filter(env, "max", builtin::max);
    list_filter(env, "sort", builtin::sort);
    list_filter(env, "list", builtin::list);
    list_filter(env, "select", builtin::select);
    list_filter(env, "reject", builtin::reject);
    list_filter(env, "selectattr", builtin::selectattr);
    list_filter(env, "rejectattr", builtin::rejectattr);
    list_filter(env, "map", builtin::map);
    list_filter(env, "groupby", builtin::groupby);
    list_filter(env, "unique", builtin::unique);
    for (name, filter) in [
        ("batch", Value::from_function(builtin::batch)),
        ("slice", Value::from_function(builtin::slice)),
    ] {
        env.add_filter(
            name,
            move |state: &mut State, args: Rest<Value>| -> Result<Value, Error> {
                let parts = args.0.get(1).and_then(Value::as_usize).unwrap_or(1);
                if !(1..=1000).contains(&parts) {
                    return Err(invalid("at most 1000 parts"));
                }
                let length = args.0.first().and_then(Value::len).unwrap_or(0);
                charge((length + parts) * 64)?;
                filter.call(state, &args.0)
            },
        );
    }
    env.add_filter("sum", |value: Value| -> Result<Value, Error> {
        if value.is_undefined() || value.is_none() {
            return Ok(Value::from(0));
        }
        let (mut whole, mut real, mut is_real) = (0_i64, 0.0_f64, false);
        for item in value.try_iter()? {
            charge(0)?;
            match item.as_i64().filter(|_| item.is_integer()) {
                Some(n) => {
                    whole = whole
                        .checked_add(n)
                        .ok_or_else(|| invalid("the sum is too large"))?
                }
                None => {
                    real += f64::try_from(item).map_err(|_| invalid("sum takes numbers"))?;
                    is_real = true;
                }
            }
        }
        Ok(if is_real {
            Value::from(real + whole as f64)
        } else {
            Value::from(whole)
        })
    });
}

fn values(env: &mut Environment<'static>) {
    env.add_filter("default", builtin::default);
    env.add_filter("d", builtin::default);
    env.add_filter("round", builtin::round);
    env.add_filter("abs", builtin::abs);
    env.add_filter("int", builtin::int);
    env.add_filter("float", builtin::float);
    env.add_filter("bool", builtin::bool);
    env.add_filter("attr", builtin::attr);
    env.add_filter("bytes", |value: Value| -> Result<String, Error> {
        let size = f64::try_from(value).map_err(|_| invalid("bytes takes a number"))?;
        Ok(language().bytes(size))
    });
    env.add_filter("number", |value: Value| -> Result<String, Error> {
        if !value.is_number() {
            return Err(invalid("number takes a number"));
        }
        Ok(language().number(&value.to_string()))
    });
    env.add_filter("datetime", |value: Value| -> Result<Value, Error> {
        let Some(at) = instant(&value)? else {
            return Ok(Value::from(""));
        };
        Ok(time_element(at, &language().date_time(at)))
    });
    env.add_filter("relative", |value: Value| -> Result<Value, Error> {
        let Some(at) = instant(&value)? else {
            return Ok(Value::from(""));
        };
        let now = current(|r| r.now_micros).unwrap_or_default();
        Ok(time_element(
            at,
            &language().relative(at.as_microsecond(), now),
        ))
    });
}

fn language() -> Language {
    current(|r| r.language).unwrap_or_default()
}

/// `<time>` with the exact time; the shell's script puts it into the person's zone.
fn time_element(at: jiff::Timestamp, text: &str) -> Value {
    let exact = format!("{at:.0}");
    let title = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    Value::from_safe_string(format!(
        "<time datetime=\"{exact}\" title=\"{title}\">{text}</time>"
    ))
}

/// RFC 3339 text, or microseconds since 1970.
fn instant(value: &Value) -> Result<Option<jiff::Timestamp>, Error> {
    if value.is_undefined() || value.is_none() || value.as_str() == Some("") {
        return Ok(None);
    }
    if let Some(text) = value.as_str() {
        return text
            .parse()
            .map(Some)
            .map_err(|_| invalid("not an RFC 3339 time"));
    }
    let micros = value.as_i64().ok_or_else(|| invalid("not a time"))?;
    jiff::Timestamp::from_microsecond(micros)
        .map(Some)
        .map_err(|_| invalid("not a time"))
}

/// What the check puts behind expressions: the text cannot leave its place.
fn stamps(env: &mut Environment<'static>) {
    env.add_filter("__attr", |value: Value| -> Value {
        match value.as_str().filter(|_| value.is_safe()) {
            Some(text) => Value::from_safe_string(quoted(text)),
            // The formatter escapes it.
            None => value,
        }
    });
    env.add_filter("__path", |value: Value| -> Result<String, Error> {
        to_text(&value).map(|t| link::path_part(&t))
    });
    env.add_filter("__query", |value: Value| -> Result<String, Error> {
        to_text(&value).map(|t| link::query_part(&t))
    });
    env.add_filter("__words", |value: Value| -> Result<String, Error> {
        to_text(&value).map(|t| words(&t))
    });
    env.add_filter("__ident", |value: Value| -> Result<String, Error> {
        to_text(&value).map(|t| ident(&t))
    });
    env.add_filter("__paint", |value: Value| -> Result<String, Error> {
        to_text(&value).map(|t| {
            t.chars()
                .filter(|c| {
                    c.is_ascii_alphanumeric()
                        || matches!(c, ' ' | '.' | ',' | '#' | '%' | '+' | '-')
                })
                .collect()
        })
    });
    env.add_filter("__json", |value: Value| -> Result<String, Error> {
        let text = to_text(&value)?;
        let json =
            serde_json::to_string(&text).map_err(|_| invalid("cannot be written as JSON"))?;
        Ok(json[1..json.len() - 1].to_owned())
    });
}

/// Text that is HTML already, made fit for a quoted value: its references stay.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Letters, digits, `-` and `_`; nothing that is, or could become, a name of the shell.
fn ident(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    // Only a name that begins like `portico-` needs a second look.
    if !name.starts_with(['p', 'P']) {
        return name;
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("portico-") || "portico-".starts_with(&lower) {
        format!("x-{name}")
    } else {
        name
    }
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn words(text: &str) -> String {
    if text.chars().all(plain) {
        return ident(text);
    }
    let names: Vec<_> = text.split_whitespace().map(ident).collect();
    names.join(" ")
}

fn tests(env: &mut Environment<'static>) {
    env.add_test("boolean", is::is_boolean);
    env.add_test("defined", is::is_defined);
    env.add_test("divisibleby", is::is_divisibleby);
    env.add_test("endingwith", is::is_endingwith);
    env.add_test("eq", is::is_eq);
    env.add_test("equalto", is::is_eq);
    env.add_test("even", is::is_even);
    env.add_test("false", is::is_false);
    env.add_test("float", is::is_float);
    env.add_test("ge", is::is_ge);
    env.add_test("greaterthan", is::is_gt);
    env.add_test("gt", is::is_gt);
    env.add_test("in", is::is_in);
    env.add_test("int", is::is_integer);
    env.add_test("integer", is::is_integer);
    env.add_test("iterable", is::is_iterable);
    env.add_test("le", is::is_le);
    env.add_test("lessthan", is::is_lt);
    env.add_test("lower", is::is_lower);
    env.add_test("lt", is::is_lt);
    env.add_test("mapping", is::is_mapping);
    env.add_test("ne", is::is_ne);
    env.add_test("none", |value: Value| value.kind() == ValueKind::None);
    env.add_test("number", is::is_number);
    env.add_test("odd", is::is_odd);
    env.add_test("sequence", is::is_sequence);
    env.add_test("startingwith", is::is_startingwith);
    env.add_test("string", is::is_string);
    env.add_test("true", is::is_true);
    env.add_test("undefined", is::is_undefined);
    env.add_test("upper", is::is_upper);
}
