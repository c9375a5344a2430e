//! Pages that say why there is no page: what happened, since when, who can change it.

use portico_host::shell::{Content, ShellRequest};
use portico_plan::inventory::State;

use super::{
    crumbs,
    html::escape,
    messages::{Messages, fill},
    navigation::icon,
    words,
};

/// The heading of a page without content.
pub(crate) fn heading(content: &Content<'_>, words: &Messages) -> String {
    match content {
        Content::Package { title, .. } => (*title).to_owned(),
        Content::Removed(removal) => fill(words.removed, &removal.name),
        Content::Off(package) if package.state == State::Disabled => {
            fill(words.off, package.name_in(words.language.tag()))
        }
        Content::Off(package) => fill(words.not_ready, package.name_in(words.language.tag())),
        Content::NotFound => words.not_found.to_owned(),
        Content::Forbidden(_) => words.forbidden.to_owned(),
        Content::Failed { status: 504, .. } => words.too_slow.to_owned(),
        Content::Failed {
            package: Some(package),
            ..
        } => fill(words.failed_of, package.name_in(words.language.tag())),
        Content::Failed { .. } => words.failed.to_owned(),
    }
}

/// Writes the content of `<main>`.
pub(crate) fn write(request: &ShellRequest<'_>, content: &Content<'_>, out: &mut String) {
    let words = words(request);
    let heading = heading(content, words);
    match content {
        Content::Off(package)
        | Content::Failed {
            package: Some(package),
            ..
        } => {
            crumbs(
                words,
                &package.mount,
                package.name_in(words.language.tag()),
                &heading,
                out,
            );
        }
        _ => crumbs(words, "/", &heading, &heading, out),
    }
    out.push_str("<div class=\"portico-notice\">");
    let picture = match content {
        Content::Removed(_) => "gone",
        Content::Off(_) => "off",
        Content::Forbidden(_) => "lock",
        Content::Failed { .. } => "broken",
        _ => "lost",
    };
    icon(picture, "portico-icon", out);
    out.push_str("<h1>");
    escape(&heading, out);
    out.push_str("</h1>");
    match content {
        Content::Package { .. } => {}
        Content::Removed(removal) => {
            out.push_str("<p>");
            out.push_str(words.removed_by);
            out.push_str(" <b>");
            escape(&who(&removal.by), out);
            out.push_str("</b>, ");
            time(removal.at, words, out);
            out.push_str(".</p>");
            paragraph(words.removed_next, out);
        }
        Content::Off(package) => {
            let (since, next) = if package.state == State::Disabled {
                (words.off_since, words.off_next)
            } else {
                (words.not_ready_since, words.not_ready_next)
            };
            out.push_str("<p>");
            out.push_str(since);
            out.push_str(", ");
            time(package.changed_at, words, out);
            out.push('.');
            if let Some(reason) = &package.reason {
                out.push(' ');
                escape(reason, out);
            }
            out.push_str("</p>");
            paragraph(next, out);
        }
        Content::NotFound => paragraph(words.not_found_why, out),
        Content::Forbidden(permission) => {
            out.push_str("<p>");
            out.push_str(words.forbidden_needs);
            out.push_str(" <code>");
            escape(permission, out);
            out.push_str("</code>.</p>");
            paragraph(
                if request.identity.is_signed_in() {
                    words.forbidden_next
                } else {
                    words.forbidden_signed_out
                },
                out,
            );
        }
        Content::Failed { message, .. } => {
            out.push_str("<p>");
            escape(message, out);
            out.push_str("</p>");
            paragraph(words.failed_next, out);
        }
    }
    actions(request, content, out);
    details(request, content, &heading, out);
    out.push_str("</div>");
}

fn actions(request: &ShellRequest<'_>, content: &Content<'_>, out: &mut String) {
    let words = words(request);
    out.push_str("<p class=\"row\">");
    if matches!(content, Content::Forbidden(_)) && !request.identity.is_signed_in() {
        // The sign-in page has no frame, so it is loaded as a document.
        out.push_str("<a class=\"button primary\" hx-boost=\"false\" hx-nonce=\"");
        escape(request.nonce, out);
        out.push_str("\" href=\"/auth/sign-in?next=");
        out.push_str(&crate::link::query_part(request.path));
        out.push_str("\">");
        out.push_str(words.sign_in);
        out.push_str("</a></p>");
        return;
    }
    let mut button = |href: &str, text: &str, class: &str| {
        out.push_str("<a class=\"");
        out.push_str(class);
        out.push_str("\" href=\"");
        escape(href, out);
        out.push_str("\">");
        escape(text, out);
        out.push_str("</a>");
    };
    match content {
        Content::Failed { package, .. } => {
            button(request.path, words.try_again, "button primary");
            if let Some(package) = package.filter(|p| *p.mount != *request.path) {
                button(
                    &package.mount,
                    &fill(words.go_to, package.name_in(words.language.tag())),
                    "button",
                );
            }
        }
        _ => button("/", words.go_to_start, "button primary"),
    }
    out.push_str("</p>");
}

fn details(request: &ShellRequest<'_>, content: &Content<'_>, heading: &str, out: &mut String) {
    let words = words(request);
    let mut text = format!(
        "{heading}\n{}{}\n{} {}",
        request.origin, request.path, words.request, request.request_id
    );
    if let Content::Failed {
        status,
        message,
        package,
    } = content
    {
        text.push_str(&format!("\n{status}: {message}"));
        if let Some(package) = package {
            text.push_str(&format!("\n{} {}", package.id, package.version));
        }
    }
    out.push_str("<p class=\"muted\">");
    out.push_str(words.request);
    out.push_str(" <span class=\"mono\">");
    escape(request.request_id, out);
    out.push_str("</span> <button type=\"button\" class=\"button quiet\" data-portico=\"copy\" data-portico-copy=\"");
    escape(&text, out);
    out.push_str("\">");
    out.push_str(words.copy_details);
    out.push_str("</button></p>");
}

fn paragraph(text: &str, out: &mut String) {
    out.push_str("<p>");
    escape(text, out);
    out.push_str("</p>");
}

/// `user:ada` → `ada`.
fn who(actor: &str) -> String {
    actor.split_once(':').map_or(actor, |(_, id)| id).to_owned()
}

fn time(micros: i64, words: &Messages, out: &mut String) {
    let Ok(at) = jiff::Timestamp::from_microsecond(micros) else {
        return;
    };
    out.push_str(&format!(
        "<time datetime=\"{at:.0}\">{}</time>",
        words.language.date_time(at)
    ));
}
