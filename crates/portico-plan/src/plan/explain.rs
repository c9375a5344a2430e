//! A plan in plain words.

use portico_package::Version;

use super::{Action, AskStatus, Change, Plan, Verb};
use crate::text::{bytes, count};

/// What the plan does, one line per fact, for terminals and logs.
pub fn explain(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for change in &plan.changes {
        lines.push(headline(change));
        lines.extend(facts(change).into_iter().map(|fact| format!("  {fact}")));
    }
    if plan.storage_bytes > 0 {
        lines.push(format!(
            "Adds {} to what is stored.",
            bytes(plan.storage_bytes)
        ));
    }
    lines.extend(plan.notices.iter().map(|notice| format!("Note: {notice}")));
    if plan.refusals.is_empty() {
        let new = plan.required_approvals().len();
        lines.push(match new {
            0 => "Nothing new has to be approved.".to_owned(),
            new => format!("{} to approve.", count(new, "permission", "permissions")),
        });
    } else {
        lines.push(format!(
            "This cannot be done: {} {}.",
            verb(plan.verb),
            plan.package
        ));
        lines.extend(
            plan.refusals
                .iter()
                .map(|refusal| format!("  {}: {}", refusal.code, refusal.message)),
        );
    }
    lines
}

fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Install => "install",
        Verb::Upgrade => "upgrade",
        Verb::Rollback => "roll back",
        Verb::Disable => "switch off",
        Verb::Enable => "switch on",
        Verb::Uninstall => "remove",
    }
}

fn headline(change: &Change) -> String {
    let name = change.name.as_str();
    let id = &change.package;
    let from = change
        .from
        .as_ref()
        .map(Version::to_string)
        .unwrap_or_default();
    let to = &change.version;
    let what = match change.action {
        Action::Install => format!("Installs {name} ({id}) {to}"),
        Action::Upgrade if from == to.to_string() => {
            format!("Changes the settings of {name} ({id}) {to}")
        }
        Action::Upgrade => format!("Upgrades {name} ({id}) from {from} to {to}"),
        Action::Rollback => format!("Takes {name} ({id}) back from {from} to {to}"),
        Action::Disable => format!("Switches {name} ({id}) off"),
        Action::Enable => format!("Switches {name} ({id}) on"),
        Action::Remove => format!("Removes {name} ({id}) {to}"),
    };
    let brings = matches!(
        change.action,
        Action::Install | Action::Upgrade | Action::Rollback
    );
    if !brings {
        return format!("{what}.");
    }
    let source = format!(
        "from {}, signed by {}, {}",
        change.registry,
        change.publisher,
        bytes(change.size)
    );
    match change.because.as_str() {
        "asked for" => format!("{what} ({source})."),
        because => format!("{what} ({source}), because {because}."),
    }
}

fn facts(change: &Change) -> Vec<String> {
    let mut facts = Vec::new();
    for ask in &change.permissions {
        let status = match ask.status {
            AskStatus::New => "asks for",
            AskStatus::Widened => "newly asks for",
            AskStatus::Held => "keeps",
            AskStatus::Dropped => "gives back",
        };
        let optional = match ask.status {
            AskStatus::New | AskStatus::Widened if ask.optional => ", works without",
            _ => "",
        };
        let reason = ask
            .reason
            .as_ref()
            .map(|why| format!(" Why: {}", why.as_str()))
            .unwrap_or_default();
        facts.push(format!(
            "{status} {}{optional}: {}.{reason}",
            ask.permission, ask.summary
        ));
    }
    for (what, entries) in [
        ("adds the paths", &change.routes_added),
        ("takes away the paths", &change.routes_removed),
        ("adds to the navigation", &change.navigation_added),
        ("takes out of the navigation", &change.navigation_removed),
    ] {
        if !entries.is_empty() {
            facts.push(format!("{what} {}", entries.join(", ")));
        }
    }
    facts
}
