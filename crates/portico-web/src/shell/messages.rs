//! Everything the shell's documents say, in one place: English, the source, and German beside it. What its scripts
//! say stands in `assets/words-de.json`.

use std::sync::LazyLock;

use crate::language::Language;

/// Makes the table of words and one table for each language; a word that lacks a language does not compile.
macro_rules! messages {
    ($($name:ident: $english:literal, $german:literal;)+) => {
        /// Sentences and words of the shell.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Messages {
            pub(crate) language: Language,
            $(pub(crate) $name: &'static str,)+
        }

        const ENGLISH: Messages = Messages { language: Language::English, $($name: $english,)+ };
        const GERMAN: Messages = Messages { language: Language::German, $($name: $german,)+ };

        static MIRRORED: LazyLock<Messages> = LazyLock::new(|| {
            // Made once for the life of the process.
            let mirror = |text: &str| &*Language::Mirrored.mirror(text.to_owned()).leak();
            Messages { language: Language::Mirrored, $($name: mirror($english),)+ }
        });

        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $german),)+];
    };
}

// `{}` stands for the name in question.
messages! {
    skip: "Skip to content", "Zum Inhalt springen";
    portal: "Portal", "Portal";
    main_navigation: "Main", "Hauptnavigation";
    breadcrumb: "Breadcrumb", "Pfad";
    navigation: "Navigation", "Navigation";
    installed: "Installed", "Installiert";
    documentation: "Documentation", "Dokumentation";
    administration: "Administration", "Verwaltung";
    opens_elsewhere: "(opens in a new tab)", "(öffnet einen neuen Tab)";
    shortcuts: "Keyboard shortcuts", "Tastenkürzel";
    language_name: "Language", "Sprache";
    sign_in: "Sign in", "Anmelden";
    sign_out: "Sign out", "Abmelden";
    offline: "Offline", "Offline";
    activity: "Activity", "Vorgänge";
    theme: "Theme", "Darstellung";
    notifications: "Notifications", "Mitteilungen";
    page_of: "Page of", "Seite von";
    go_to: "Go to {}", "Zu {}";
    go_to_start: "Go to the start page", "Zur Startseite";
    try_again: "Try again", "Noch einmal";
    request: "Request", "Anfrage";
    copy_details: "Copy details", "Einzelheiten kopieren";
    not_found: "There is no such page", "Diese Seite gibt es nicht";
    not_found_why: "Nothing lives at this address. It may have moved, or the link has a typing error.",
        "Unter dieser Adresse gibt es nichts. Vielleicht ist die Seite umgezogen, oder der Link hat einen Tippfehler.";
    removed: "{} was removed", "{} wurde entfernt";
    removed_by: "Removed by", "Entfernt von";
    removed_next: "Its pages are gone. Somebody who may install packages can bring it back from the marketplace.",
        "Seine Seiten sind weg. Wer Pakete installieren darf, kann es aus dem Marktplatz zurückholen.";
    off: "{} is switched off", "{} ist abgeschaltet";
    off_since: "Switched off", "Abgeschaltet";
    off_next: "Its data is kept. Somebody who may manage packages can switch it on again.",
        "Seine Daten bleiben erhalten. Wer Pakete verwalten darf, kann es wieder einschalten.";
    not_ready: "{} is not ready yet", "{} ist noch nicht bereit";
    not_ready_since: "Waiting", "Wartet";
    not_ready_next: "Its back end has not reported yet. This page works as soon as it does.",
        "Sein Dienst hat sich noch nicht gemeldet. Sobald er das tut, geht diese Seite.";
    forbidden: "You may not see this page", "Sie dürfen diese Seite nicht sehen";
    forbidden_needs: "It needs the permission", "Nötig ist die Berechtigung";
    forbidden_next: "Ask somebody who manages roles of this portal to give it to you.",
        "Bitten Sie jemanden, der die Rollen dieses Portals verwaltet, darum.";
    forbidden_signed_out: "Sign in to see it.", "Melden Sie sich an, um sie zu sehen.";
    failed: "This page did not work", "Diese Seite hat nicht funktioniert";
    failed_of: "A page of {} did not work", "Eine Seite von {} hat nicht funktioniert";
    too_slow: "This page took too long", "Diese Seite hat zu lange gebraucht";
    failed_next: "Try again. If it stays like this, send the details below to whoever looks after the portal.",
        "Versuchen Sie es noch einmal. Bleibt es so, geben Sie die Einzelheiten unten an die Betreuung des Portals weiter.";
    sign_in_title: "Sign in to {}", "Bei {} anmelden";
    sign_in_how: "Paste the sign-in link or its code. The portal printed one when it started.",
        "Fügen Sie den Anmeldelink oder seinen Code ein. Das Portal hat beim Start einen ausgegeben.";
    sign_in_label: "Sign-in link or code", "Anmeldelink oder Code";
    sign_in_lost: "No link? Make a new one on the portal's machine:", "Kein Link? Erzeugen Sie auf dem Rechner des Portals einen neuen:";
}

impl Messages {
    /// The words of a language.
    pub(crate) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
            Language::Mirrored => &MIRRORED,
        }
    }
}

/// Puts `name` where `{}` stands.
pub(crate) fn fill(sentence: &str, name: &str) -> String {
    sentence.replacen("{}", name, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_is_there_in_every_language_with_its_places() {
        for (name, english, german) in ALL {
            assert!(!english.is_empty() && !german.is_empty(), "{name}");
            assert_eq!(
                english.matches("{}").count(),
                german.matches("{}").count(),
                "{name}"
            );
            let end = |s: &str| s.ends_with(['.', ':']);
            assert_eq!(end(english), end(german), "{name}");
        }
        assert_eq!(
            Messages::of(Language::Mirrored).skip,
            "\u{202e}Skip to content\u{202c}"
        );
    }
}
