//! Finding packages by what people type.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use portico_package::{PackageId, Release, Text};
use serde::Serialize;
use strsim::damerau_levenshtein;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Words; all of them must fit. Nothing typed is everything there is.
    pub q: String,
    /// Only packages in this category (case does not matter).
    pub category: Option<String>,
    /// Hits to skip: [`SearchPage::next`] of the page before.
    pub cursor: usize,
    /// Hits wanted.
    pub limit: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            q: String::new(),
            category: None,
            cursor: 0,
            limit: 24,
        }
    }
}

/// One page of hits.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// Best first.
    pub hits: Vec<Hit>,
    /// How many there are in all.
    pub total: usize,
    /// Where the next page begins; `None` on the last.
    pub next: Option<usize>,
    /// Categories of what fits the words, whatever category was asked for; most packages first.
    pub categories: Vec<Category>,
}

/// One package that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Its newest release.
    pub release: Arc<Release>,
    /// How well it fits; only good for comparing.
    pub score: u32,
}

/// A category and how many packages are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Category {
    /// As the first package writes it.
    pub name: String,
    /// Packages.
    pub count: usize,
}

/// The words of every package, lower case.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    id: PackageId,
    /// For sorting.
    name: String,
    id_text: String,
    names: Vec<String>,
    /// Of id and names.
    name_words: Vec<String>,
    categories: Vec<String>,
    description: String,
}

impl Words {
    pub(super) fn of<'r>(releases: impl Iterator<Item = &'r Arc<Release>>) -> Self {
        let mut entries: Vec<Entry> = releases.map(|release| Entry::of(release)).collect();
        entries.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Self(entries)
    }

    pub(super) fn find(
        &self,
        search: &Search,
        newest: impl Fn(&PackageId) -> Option<Arc<Release>>,
    ) -> SearchPage {
        let wanted: Vec<String> = words(&search.q);
        let mut fits: Vec<(u32, &Entry)> = self
            .0
            .iter()
            .filter_map(|entry| Some((entry.score(&wanted, &search.q)?, entry)))
            .collect();
        let categories = count(fits.iter().map(|(_, entry)| *entry), &newest);
        if let Some(category) = &search.category {
            let category = category.to_lowercase();
            fits.retain(|(_, entry)| entry.categories.contains(&category));
        }
        // Entries are in order of name already, and the sort is stable.
        fits.sort_by_key(|(score, _)| Reverse(*score));
        let total = fits.len();
        let hits: Vec<Hit> = fits
            .into_iter()
            .skip(search.cursor)
            .take(search.limit)
            .filter_map(|(score, entry)| {
                Some(Hit {
                    release: newest(&entry.id)?,
                    score,
                })
            })
            .collect();
        let end = search.cursor.saturating_add(hits.len());
        let next = (end < total && !hits.is_empty()).then_some(end);
        SearchPage {
            hits,
            total,
            next,
            categories,
        }
    }
}

impl Entry {
    fn of(release: &Release) -> Self {
        let manifest = &release.manifest;
        let names: Vec<String> = all(&manifest.name).map(str::to_lowercase).collect();
        let id_text = manifest.id.as_str().to_owned();
        let mut name_words = words(&id_text);
        name_words.extend(names.iter().flat_map(|name| words(name)));
        let description = all(&manifest.description)
            .collect::<Vec<_>>()
            .join("\n")
            .to_lowercase();
        Self {
            id: manifest.id.clone(),
            name: manifest.name.as_str().to_lowercase(),
            id_text,
            names,
            name_words,
            categories: manifest
                .categories
                .iter()
                .map(|c| c.to_lowercase())
                .collect(),
            description,
        }
    }

    /// How well it fits, or `None` when a word does not fit at all.
    fn score(&self, wanted: &[String], query: &str) -> Option<u32> {
        let mut sum = 0;
        for word in wanted {
            sum += self.score_word(word)?;
        }
        let query = query.trim().to_lowercase();
        if !query.is_empty() {
            // The whole text as typed counts more than its words.
            if self.id_text == query || self.names.contains(&query) {
                sum += 200;
            } else if self.id_text.starts_with(&query)
                || self.names.iter().any(|name| name.starts_with(&query))
            {
                sum += 100;
            }
        }
        Some(sum)
    }

    fn score_word(&self, word: &str) -> Option<u32> {
        if self.name_words.iter().any(|w| w == word) {
            return Some(60);
        }
        if self.name_words.iter().any(|w| w.starts_with(word)) {
            return Some(50);
        }
        if self.categories.iter().any(|category| category == word) {
            return Some(40);
        }
        if self.id_text.contains(word) || self.names.iter().any(|name| name.contains(word)) {
            return Some(30);
        }
        if self
            .categories
            .iter()
            .any(|category| category.starts_with(word))
        {
            return Some(25);
        }
        if let Some(at) = self.description.find(word) {
            let before = self.description[..at].chars().next_back();
            let starts = before.is_none_or(|c| !c.is_alphanumeric());
            return Some(if starts { 20 } else { 10 });
        }
        // One slip in a word of some length, compared with the beginning of the longer one, so that it
        // helps while typing as well.
        let length = word.chars().count();
        let slip = |w: &String| {
            let start: String = w.chars().take(length).collect();
            damerau_levenshtein(word, w) <= 1 || damerau_levenshtein(word, &start) <= 1
        };
        (length >= 4 && self.name_words.iter().any(slip)).then_some(5)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Every language of a text.
fn all(text: &Text) -> impl Iterator<Item = &str> {
    let (plain, localised) = match text {
        Text::Plain(text) => (Some(text.as_str()), None),
        Text::Localised(map) => (None, Some(map.values().map(String::as_str))),
    };
    plain.into_iter().chain(localised.into_iter().flatten())
}

fn count<'e>(
    entries: impl Iterator<Item = &'e Entry>,
    newest: &impl Fn(&PackageId) -> Option<Arc<Release>>,
) -> Vec<Category> {
    let mut counts: BTreeMap<String, Category> = BTreeMap::new();
    for entry in entries {
        for (at, category) in entry.categories.iter().enumerate() {
            if entry.categories[..at].contains(category) {
                continue;
            }
            let count = counts.entry(category.clone()).or_insert_with(|| {
                let written =
                    newest(&entry.id).and_then(|r| r.manifest.categories.get(at).cloned());
                Category {
                    name: written.unwrap_or_else(|| category.clone()),
                    count: 0,
                }
            });
            count.count += 1;
        }
    }
    let mut counts: Vec<Category> = counts.into_values().collect();
    counts.sort_by(|a, b| (Reverse(a.count), &a.name).cmp(&(Reverse(b.count), &b.name)));
    counts
}
