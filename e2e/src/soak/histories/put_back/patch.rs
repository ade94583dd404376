//! The patches: each begins with the defect that it puts back, in words.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where they are, in the checkout.
const FOLDER: &str = "simulation/put-back";
/// What follows the words.
const FIRST_FILE: &str = "diff --git ";
/// What is before the name of a file that changes.
const CHANGES: &str = "+++ b/";

/// A patch that puts a defect back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patch {
    /// The name of its file, without `.patch`.
    pub(super) name: String,
    /// The defect.
    pub(super) defect: String,
    /// Its file.
    pub(super) path: PathBuf,
    /// What it changes, from the checkout on.
    pub(super) changes: Vec<PathBuf>,
}

/// All patches, or those of these names.
///
/// # Errors
/// There is none of such a name.
pub(super) fn chosen(only: &[String]) -> Result<Vec<Patch>> {
    let mut patches = all()?;
    let names: Vec<String> = patches.iter().map(|patch| patch.name.clone()).collect();
    if let Some(unknown) = only.iter().find(|only| !names.contains(only)) {
        bail!("no patch {unknown} in {FOLDER}; there are: {}", names.join(", "));
    }
    patches.retain(|patch| only.is_empty() || only.contains(&patch.name));
    Ok(patches)
}

fn all() -> Result<Vec<Patch>> {
    let folder = checkout().join(FOLDER);
    let files = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut patches = Vec::new();
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            patches.push(read(path)?);
        }
    }
    patches.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(patches)
}

fn read(path: PathBuf) -> Result<Patch> {
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let defect =
        defect(&text).with_context(|| format!("{name}.patch does not begin with the defect that it puts back"))?;
    let changes = changes(&text).map(PathBuf::from).collect();
    Ok(Patch {
        name,
        defect,
        path,
        changes,
    })
}

/// The words before the first file, in one line.
fn defect(text: &str) -> Option<String> {
    let (words, _) = text.split_once(FIRST_FILE)?;
    let words: Vec<&str> = words.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn changes(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix(CHANGES))
}

/// The folder with the workspace's Cargo.toml.
pub(super) fn checkout() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::process::Command;

    #[test]
    fn the_defect_stands_before_the_first_file() {
        let text = "It was erased\nby hand.\n\ndiff --git a/x b/x\n";
        assert_eq!(defect(text).as_deref(), Some("It was erased by hand."));
        assert_eq!(defect("diff --git a/x b/x\n"), None);
    }

    /// Whether they still put back what they say: `cargo soak --put-back`.
    #[test]
    fn each_patch_applies_to_the_tree() {
        for Patch { name, path, .. } in all().unwrap() {
            let mut check = Command::new("git");
            check.current_dir(checkout()).args(["apply", "--check"]).arg(path);
            let checked = check.output().unwrap();
            assert!(
                checked.status.success(),
                "{FOLDER}/{name}.patch does not apply any more: write the change that it makes anew for the code as it is now, \
                 then see with `cargo soak --put-back {name}` that the simulation still finds the defect.\n{}",
                String::from_utf8_lossy(&checked.stderr)
            );
        }
    }
}
