//! Templates of packages: checked and rewritten once, when a package is installed.
//!
//! A template is parsed by the engine's own parser, so what is checked is what will run. Its literal text
//! must be a strict subset of HTML ([`scan`]); its expressions are printed back with the filter that their
//! place needs ([`rewrite`]); operators that can make much out of little become metered functions ([`print`]).
//! Elements with htmx attributes get the stamp for the page's nonce. So nothing is rewritten per request.

mod emit;
mod htmx;
mod print;
mod rewrite;
mod rules;
mod scan;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;

use portico_package::{Diagnostic, Diagnostics, Manifest, Severity, manifest::RuntimeKind};

pub(crate) use value::BOOST;

use crate::template::value::Area;

/// Checked templates by name (below the templates folder), rewritten for the engine.
pub(crate) type Templates = BTreeMap<String, String>;

/// Texts that templates show through `t`, with the file that says each first.
pub(crate) type Texts = BTreeMap<String, String>;

/// Checks and rewrites every template of a package.
pub(crate) fn check<'f>(
    manifest: &Manifest,
    files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
) -> Result<(Templates, Texts), Diagnostics> {
    let area = Area {
        mount: mount_of(manifest),
    };
    let folder = manifest.files.templates();
    let mut templates = Templates::new();
    let mut uses = Vec::new();
    let mut texts = Texts::new();
    let mut found = Vec::new();
    for (path, bytes) in files {
        let Some(name) = path.strip_prefix(folder) else {
            continue;
        };
        if !name.ends_with(".html") {
            found.push(diagnostic(
                Severity::Warning,
                "template-ignored",
                path,
                "",
                0,
                "only *.html files are templates",
                "remove the file or rename it",
            ));
            continue;
        }
        let Ok(source) = std::str::from_utf8(bytes) else {
            found.push(diagnostic(
                Severity::Error,
                "template-encoding",
                path,
                "",
                0,
                "not UTF-8",
                "save the file as UTF-8",
            ));
            continue;
        };
        match rewrite::rewrite(name, source, &area) {
            Ok(done) => {
                templates.insert(name.to_owned(), done.source);
                for text in done.texts {
                    texts.entry(text).or_insert_with(|| path.to_owned());
                }
                uses.extend(
                    done.uses
                        .into_iter()
                        .map(|(used, at)| (path.to_owned(), source.to_owned(), used, at)),
                );
            }
            Err(all) => found.extend(all.into_iter().map(|f| {
                diagnostic(
                    Severity::Error,
                    "template-refused",
                    path,
                    source,
                    f.at,
                    &f.message,
                    &f.hint,
                )
            })),
        }
    }
    for (path, source, used, at) in uses {
        if !templates.contains_key(&used)
            && !found.iter().any(|d| d.file == format!("{folder}{used}"))
        {
            found.push(diagnostic(
                Severity::Error,
                "template-missing",
                &path,
                &source,
                at,
                &format!("there is no template `{used}`"),
                "names are below the templates folder",
            ));
        }
    }
    let findings = Diagnostics(found);
    if findings.has_errors() {
        Err(findings)
    } else {
        Ok((templates, texts))
    }
}

fn mount_of(manifest: &Manifest) -> String {
    match manifest.runtime.kind {
        RuntimeKind::External => format!("/plugins/{}", manifest.id),
        _ => manifest.default_mount(),
    }
}

/// A finding at a byte offset of `source`.
pub(crate) fn diagnostic(
    severity: Severity,
    code: &str,
    file: &str,
    source: &str,
    at: usize,
    message: &str,
    hint: &str,
) -> Diagnostic {
    let at = (0..=at.min(source.len()))
        .rev()
        .find(|i| source.is_char_boundary(*i))
        .unwrap_or(0);
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let text: String = source[at..]
        .chars()
        .take_while(|c| *c != '\n')
        .take(80)
        .collect();
    Diagnostic {
        severity,
        code: code.to_owned(),
        file: file.to_owned(),
        line: before.matches('\n').count() + 1,
        column: source[line_start..at].chars().count() + 1,
        path: String::new(),
        text,
        message: message.to_owned(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
    }
}
