//! The text of a rewritten template, kept on the lines of the original so that errors at run time point there.

/// Writes literal text and template code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Emit {
    text: String,
    lines: usize,
}

impl Emit {
    /// Literal text: whatever in it could begin template code is written as an expression.
    pub(crate) fn literal(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            self.plain(&rest[..at]);
            rest = &rest[at + 1..];
            if rest.is_empty() || rest.starts_with(['{', '%', '#']) {
                self.text.push_str("{{ \"{\" }}");
            } else {
                self.text.push('{');
            }
        }
        self.plain(rest);
    }

    fn plain(&mut self, text: &str) {
        self.text.push_str(text);
        self.lines += text.bytes().filter(|b| *b == b'\n').count();
    }

    /// Template code on one line.
    pub(crate) fn code(&mut self, code: &str) {
        self.text.push_str(code);
    }

    /// Template code between `open` and `close`, moved down to `line` (from 1) of the original if it is not there yet.
    pub(crate) fn tag(&mut self, open: &str, line: usize, code: &str, close: &str) {
        self.text.push_str(open);
        while self.lines + 1 < line {
            self.text.push('\n');
            self.lines += 1;
        }
        self.text.push(' ');
        self.plain(code);
        self.text.push(' ');
        self.text.push_str(close);
    }

    /// Bytes and lines so far.
    pub(crate) fn position(&self) -> (usize, usize) {
        (self.text.len(), self.lines)
    }

    /// Goes back to a position.
    pub(crate) fn truncate(&mut self, to: (usize, usize)) {
        self.text.truncate(to.0);
        self.lines = to.1;
    }

    /// Writes `by` instead of `n` bytes at `from`.
    pub(crate) fn replace(&mut self, from: usize, n: usize, by: &str) {
        self.text.replace_range(from..from + n, by);
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}
