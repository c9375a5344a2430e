//! Packages that are compiled into the binary as folders of files.

use include_dir::Dir;
use portico_package::{Manifest, archive, manifest, signature::SigningKey};

use crate::foreign::Files;

/// A package inside the binary.
pub(crate) struct Embedded {
    /// Name of its folder.
    pub(crate) folder: String,
    /// Files by path inside the package.
    pub(crate) files: Files,
}

/// Packages are the folders that hold a manifest; hidden files are left out as they are when a
/// folder is packed.
pub(crate) fn packages(dir: &Dir<'_>) -> Vec<Embedded> {
    let mut packages: Vec<Embedded> = dir
        .dirs()
        .filter(|folder| folder.contains(folder.path().join(manifest::FILE_NAME)))
        .map(|folder| {
            let mut files = Files::new();
            collect(folder, &format!("{}/", folder.path().display()), &mut files);
            Embedded {
                folder: folder.path().display().to_string(),
                files,
            }
        })
        .collect();
    packages.sort_by(|a, b| a.folder.cmp(&b.folder));
    packages
}

fn collect(dir: &Dir<'_>, prefix: &str, into: &mut Files) {
    for file in dir.files() {
        let path = file.path().to_string_lossy().replace('\\', "/");
        let Some(name) = path.strip_prefix(prefix) else {
            continue;
        };
        if !name.split('/').any(|part| part.starts_with('.')) {
            into.insert(name.to_owned(), file.contents().to_vec());
        }
    }
    for dir in dir.dirs() {
        collect(dir, prefix, into);
    }
}

impl Embedded {
    /// Its manifest, or everything that is wrong with it in one text.
    pub(crate) fn manifest(&self) -> Result<Manifest, String> {
        let file = format!("{}/{}", self.folder, manifest::FILE_NAME);
        let bytes = self
            .files
            .get(manifest::FILE_NAME)
            .map_or(&[][..], Vec::as_slice);
        let text = std::str::from_utf8(bytes).map_err(|e| format!("{file}: {e}"))?;
        let (manifest, diagnostics) = manifest::read::from_yaml(&file, text);
        match manifest {
            Some(manifest) if !diagnostics.has_errors() => Ok(manifest),
            _ => Err(diagnostics.to_string()),
        }
    }

    /// Packs and signs it.
    pub(crate) fn pack(&self, key: &SigningKey) -> Result<(Manifest, Vec<u8>), String> {
        let manifest = self.manifest()?;
        let bytes = archive::pack(&self.files, &manifest, key)
            .map_err(|e| format!("{}: {e}", self.folder))?;
        Ok((manifest, bytes))
    }
}
