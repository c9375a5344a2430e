//! Writing values into HTML.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use minijinja::{Error, ErrorKind, Output, State, Value, value::ValueKind};

use crate::engine::meter::charge;

/// The engine's formatter: safe text (of macros, captures, `tojson`) as it is, everything else escaped.
pub(crate) fn format(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_undefined() || value.is_none() {
        return Ok(());
    }
    if let Some(text) = value.as_str() {
        // Captures hold copies of what is written to them.
        charge(text.len())?;
        let written = if value.is_safe() {
            out.write_str(text)
        } else {
            escape_into(text, &mut Plain(out))
        };
        return written.map_err(|_| full());
    }
    if value.is_number() {
        charge(8)?;
        return write!(out, "{value}").map_err(|_| full());
    }
    let text = to_text(value)?;
    charge(text.len())?;
    escape_into(&text, &mut Plain(out)).map_err(|_| full())
}

fn full() -> Error {
    Error::new(ErrorKind::WriteFailure, "the page writes more than it may")
}

struct Plain<'o, 'a>(&'o mut Output<'a>);

impl Write for Plain<'_, '_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.write_str(s)
    }
}

/// Writes `text` so that it is text in HTML and in quoted values.
pub(crate) fn escape_into(text: &str, out: &mut dyn Write) -> fmt::Result {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let reference = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        out.write_str(&text[from..at])?;
        out.write_str(reference)?;
        from = at + 1;
    }
    out.write_str(&text[from..])
}

/// Any value as text; refuses values whose text would be longer than a string may be.
pub(crate) fn to_text(value: &Value) -> Result<Cow<'_, str>, Error> {
    if let Some(text) = value.as_str() {
        return Ok(Cow::Borrowed(text));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => return Ok(Cow::Borrowed("")),
        // As HTML and JSON write them, for `aria-expanded="{{ open }}"`.
        ValueKind::Bool => {
            return Ok(Cow::Borrowed(if value.is_true() {
                "true"
            } else {
                "false"
            }));
        }
        _ => {}
    }
    let mut capped = Capped {
        text: String::new(),
        limit: 128 << 10,
    };
    match write!(capped, "{value}") {
        Ok(()) => Ok(Cow::Owned(capped.text)),
        Err(_) => Err(Error::new(
            ErrorKind::InvalidOperation,
            "the text of this value is too long",
        )),
    }
}

struct Capped {
    text: String,
    limit: usize,
}

impl Write for Capped {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.text.len() + s.len() > self.limit {
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}
