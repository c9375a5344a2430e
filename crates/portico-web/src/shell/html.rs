//! Writing text into HTML.

/// Escapes `text` for text and quoted values.
pub(crate) fn escape(text: &str, out: &mut String) {
    // Writing to a string does not fail.
    let _ = crate::engine::escape_into(text, out);
}
