//! Text that people read, in one or more languages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A sentence of a manifest that people read: one string, or one per language
/// (`{en: …, de: …}`, keys are BCP 47 tags).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// The same in every language.
    Plain(String),
    /// By language tag.
    Localised(BTreeMap<String, String>),
}

impl Text {
    /// The text for `language`, else for its primary subtag, else English, else the first there is.
    pub fn in_language(&self, language: &str) -> &str {
        match self {
            Self::Plain(s) => s,
            Self::Localised(map) => {
                let primary = language.split('-').next().unwrap_or(language);
                [language, primary, "en"]
                    .iter()
                    .find_map(|tag| map.get(*tag))
                    .or_else(|| map.values().next())
                    .map_or("", String::as_str)
            }
        }
    }

    /// The text in English, the source language.
    pub fn as_str(&self) -> &str {
        self.in_language("en")
    }
}

impl From<&str> for Text {
    fn from(s: &str) -> Self {
        Self::Plain(s.to_owned())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}
