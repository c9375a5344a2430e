//! Codes that programs may decide by, as they stand in the source.

use std::collections::BTreeMap;

/// What introduces a code: the text before it, up to its opening quote.
const BEFORE: [&str; 3] = ["Refusal::new(", "Problem::new(", "ControlError::step("];

/// Codes in a source file with the line of their first use.
pub(super) fn codes(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut in_code = false;
    let mut waiting = 0_u8;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("mod tests") {
            break;
        }
        let mut note = |code: &str| {
            if is_code(code) {
                found.entry(code.to_owned()).or_insert(index + 1);
            }
        };
        if line.contains("fn code(&self)") {
            in_code = true;
        } else if in_code && line == "    }" {
            in_code = false;
        } else if in_code {
            quoted(line).into_iter().for_each(&mut note);
        }
        // A code is the first quoted word of a call, on its line or one of the next two.
        let call = BEFORE.iter().find_map(|before| line.split_once(before));
        if let Some((_, rest)) = call {
            match quoted(rest).first() {
                Some(code) => note(code),
                None => waiting = 2,
            }
        } else if waiting > 0 {
            waiting -= 1;
            if let Some(code) = quoted(line).first() {
                note(code);
                waiting = 0;
            }
        }
    }
    found
}

fn quoted(line: &str) -> Vec<&str> {
    line.split('"').skip(1).step_by(2).collect()
}

fn is_code(text: &str) -> bool {
    text.len() > 3
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_codes_where_they_are_made() {
        let text = r#"
impl E {
    pub fn code(&self) -> &'static str {
        match self {
            Self::A => "archive-size",
            Self::B(_) | Self::C => "archive-tar",
        }
    }
    fn other() -> &'static str { "not-a-code" }
}
fn f() {
    Refusal::new("quota-storage", id, "too much, see \"limits\"");
    Problem::new(
        409,
        "already-trusted",
        "there",
    );
}
#[cfg(test)]
mod tests { fn g() { Problem::new(400, "only-in-tests", ""); } }
"#;
        let found: Vec<String> = codes(text).into_keys().collect();
        assert_eq!(
            found,
            [
                "already-trusted",
                "archive-size",
                "archive-tar",
                "quota-storage"
            ]
        );
    }
}
