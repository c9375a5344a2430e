//! Packages made in a test, without a folder.

use std::collections::BTreeMap;

use portico_package::{Manifest, archive, manifest::read, signature::SigningKey};

/// A package in the making. Without further ado it is valid: one page, `/`, that says its version.
#[derive(Clone, Debug)]
pub struct Package {
    id: String,
    version: String,
    microsite: Vec<String>,
    pages: Vec<String>,
    navigation: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Package {
    /// A package that lives under `/<id>`.
    pub fn new(id: &str, version: &str) -> Self {
        let page = "<p>{{ package.name }} {{ package.version }}</p>\n";
        Self {
            id: id.to_owned(),
            version: version.to_owned(),
            microsite: vec![
                format!("path: /{id}"),
                "description: Made by a test.".to_owned(),
            ],
            pages: Vec::new(),
            navigation: Vec::new(),
            files: BTreeMap::from([("templates/index.html".to_owned(), page.into())]),
        }
    }

    /// Lives elsewhere.
    #[must_use]
    pub fn mounted(mut self, path: &str) -> Self {
        self.microsite[0] = format!("path: {path}");
        self
    }

    /// Adds lines of YAML under `microsite:`, such as `requires: {microsites: {base: ">=1"}}`.
    #[must_use]
    pub fn microsite(mut self, lines: &str) -> Self {
        self.microsite.extend(lines.lines().map(str::to_owned));
        self
    }

    /// Asks for permissions.
    #[must_use]
    pub fn permissions(self, permissions: &[&str]) -> Self {
        let list: Vec<String> = permissions.iter().map(|p| format!("\"{p}\"")).collect();
        self.microsite(&format!("permissions: [{}]", list.join(", ")))
    }

    /// Adds a page; `more` are further keys of its entry, such as `fragment: true`.
    #[must_use]
    pub fn page(mut self, path: &str, template: &str, html: &str, more: &[&str]) -> Self {
        let mut entry = format!("    - path: {path}\n      template: {template}\n");
        for line in more {
            entry.push_str(&format!("      {line}\n"));
        }
        self.pages.push(entry);
        self.file(&format!("templates/{template}"), html)
    }

    /// Adds a navigation entry.
    #[must_use]
    pub fn navigation(mut self, title: &str, path: &str) -> Self {
        self.navigation
            .push(format!("    - title: {title}\n      path: {path}\n"));
        self
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// The manifest as an author would write it.
    pub fn manifest(&self) -> String {
        let Self { id, version, .. } = self;
        let mut text = format!(
            "manifest_version: \"1.0\"\nmicrosite:\n  id: {id}\n  name: {id}\n  \
             version: \"{version}\"\n  type: htmx\n"
        );
        for line in &self.microsite {
            text.push_str(&format!("  {line}\n"));
        }
        if !self.pages.is_empty() || !self.navigation.is_empty() {
            text.push_str("contributes:\n");
        }
        for (name, entries) in [("pages", &self.pages), ("navigation", &self.navigation)] {
            if !entries.is_empty() {
                text.push_str(&format!("  {name}:\n{}", entries.concat()));
            }
        }
        text
    }

    /// Everything that goes into the archive.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files.clone();
        files.insert("microsite_manifest.yaml".to_owned(), self.manifest().into());
        files
    }

    /// The manifest as it is read.
    ///
    /// # Panics
    /// If it has errors: the test is wrong.
    pub fn read(&self) -> Manifest {
        let (manifest, diagnostics) = read::from_files(&self.files());
        match manifest {
            Some(manifest) if !diagnostics.has_errors() => manifest,
            _ => panic!("{}\n{diagnostics:#?}", self.manifest()),
        }
    }

    /// The signed archive.
    ///
    /// # Panics
    /// If it cannot be packed: the test is wrong.
    pub fn pack(&self, key: &SigningKey) -> Vec<u8> {
        match archive::pack(&self.files(), &self.read(), key) {
            Ok(archive) => archive,
            Err(error) => panic!("{}: {error}", self.id),
        }
    }
}

/// A signing key that is the same in every run.
///
/// # Panics
/// Never.
pub fn key(seed: u8) -> SigningKey {
    match SigningKey::from_seed([seed; 32]) {
        Ok(key) => key,
        Err(error) => panic!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use portico_package::archive::{Limits, verify};

    use super::*;

    #[test]
    fn what_is_built_verifies() {
        let package = Package::new("wares", "1.2.3")
            .permissions(&["api:schedules:read"])
            .page("/", "index.html", "<p>{{ config.limit }}</p>", &[])
            .page("/list", "list.html", "<p>list</p>", &["fragment: true"])
            .navigation("Wares", "/")
            .microsite(
                "config_schema: {type: object, properties: {limit: {type: integer, default: 3}}}",
            )
            .file("static/style.css", ".x { color: red }");
        let key = key(7);
        let bytes = package.pack(&key);
        let read = verify(&bytes, None, &[key.public_key()], &Limits::default()).unwrap();
        assert_eq!(read.manifest().version.to_string(), "1.2.3");
        assert_eq!(read.manifest().contributes.pages.len(), 2);
        assert_eq!(
            read.manifest().permissions[0].permission.as_str(),
            "api:schedules:read"
        );
    }
}
