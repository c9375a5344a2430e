//! What people read: lines with a little colour, or JSON for scripts.

use std::io::{IsTerminal, Write};

use owo_colors::{OwoColorize, Stream, Style};
use serde_json::{Value, json};

use crate::exit::Failure;

/// Standard output and error.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    exit: u8,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            exit: 0,
        }
    }

    /// Exit code of a command that did what was asked and has something to tell a script by it.
    pub(crate) fn set_exit(&mut self, exit: u8) {
        self.exit = exit;
    }

    pub(crate) fn exit(&self) -> u8 {
        self.exit
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person sits there who could be asked.
    pub(crate) fn can_ask(&self) -> bool {
        !self.json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// One line for people; nothing with `--json` or `--quiet`.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        if !self.json && !self.quiet {
            self.raw(text.as_ref());
        }
    }

    /// One line whatever the flags: the answer itself.
    pub(crate) fn raw(&self, text: &str) {
        // A closed pipe is not an error of ours.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// The answer as JSON; nothing without `--json`.
    pub(crate) fn value(&self, value: &Value) {
        if self.json {
            self.raw(&serde_json::to_string_pretty(value).unwrap_or_default());
        }
    }

    /// Progress: standard error, so that standard output stays clean.
    pub(crate) fn progress(&self, text: &str) {
        if !self.json && !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{}", dim(text));
        }
    }

    /// Asks and reads a yes; anything else is a no.
    pub(crate) fn ask(&self, question: &str) -> bool {
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{question} [y/N] ");
        let _ = err.flush();
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
    }

    /// A table with aligned columns.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        if self.json {
            return;
        }
        let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: Vec<&str>| {
            let mut text = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let pad = width.saturating_sub(cell.chars().count()) + 2;
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', pad));
            }
            text.trim_end().to_owned()
        };
        if !self.quiet {
            self.raw(&dim(&line(head.to_vec())));
        }
        for row in rows {
            self.raw(&line(row.iter().map(String::as_str).collect()));
        }
    }

    /// What went wrong.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let problem = failure.problem.clone().unwrap_or_else(
                || json!({ "code": "failed", "detail": failure.message, "notes": failure.notes }),
            );
            self.raw(&serde_json::to_string_pretty(&problem).unwrap_or_default());
            return;
        }
        let mut err = std::io::stderr().lock();
        let word = "error"
            .if_supports_color(Stream::Stderr, |t| t.style(Style::new().red().bold()))
            .to_string();
        let _ = writeln!(err, "{word}: {}", failure.message);
        for note in &failure.notes {
            let _ = writeln!(err, "  {note}");
        }
    }
}

/// Less important.
pub(crate) fn dim(text: &str) -> String {
    text.if_supports_color(Stream::Stderr, |t| t.dimmed())
        .to_string()
}

/// Good.
pub(crate) fn good(text: &str) -> String {
    text.if_supports_color(Stream::Stdout, |t| t.green())
        .to_string()
}

/// Bytes as people read them.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut whole = n;
    let mut tenths = 0;
    let mut unit = 0;
    while whole >= 1024 && unit < UNITS.len() - 1 {
        tenths = (whole % 1024) * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    if unit == 0 {
        format!("{whole} B")
    } else {
        format!("{whole}.{tenths} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_read_well() {
        assert_eq!(super::bytes(0), "0 B");
        assert_eq!(super::bytes(1023), "1023 B");
        assert_eq!(super::bytes(1536), "1.5 KiB");
        assert_eq!(super::bytes(10 << 30), "10.0 GiB");
    }
}
