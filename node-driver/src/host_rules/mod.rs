//! udev rules of the host that keep it from acting on what is inside of volumes.
//!
//! systemd-udevd looks for changed rules by itself, at most every three seconds, when an event comes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::conditions::NewCondition;

/// The rules.
pub const RULES: &str = include_str!("59-daxfit.rules");
/// Their file. Its number: what they set is read by 60-persistent-storage.rules and later ones.
pub const FILE: &str = "59-daxfit.rules";
/// The type of the condition.
const KIND: &str = "HostLeavesVolumesAlone";

/// Whether the host has the rules.
#[derive(Debug)]
pub enum HostRules {
    /// It has these.
    Installed,
    /// Nobody said where they belong.
    NoFolder,
    /// They are not there and cannot be written.
    Failed(InstallError),
}

/// The rules could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct InstallError {
    /// Their file.
    path: PathBuf,
    /// What the kernel said.
    #[source]
    source: io::Error,
}

/// Writes the rules into `folder`, such as `/etc/udev/rules.d`, unless they are there as they are here. Nothing removes them:
/// volumes outlive the driver.
#[must_use]
pub fn install(folder: Option<&Path>) -> HostRules {
    let Some(folder) = folder else {
        return HostRules::NoFolder;
    };
    let path = folder.join(FILE);
    if fs::read(&path).is_ok_and(|there| there == RULES.as_bytes()) {
        return HostRules::Installed;
    }
    match write(folder, &path) {
        Ok(()) => {
            tracing::info!(path = %path.display(), "wrote rules for udev");
            HostRules::Installed
        }
        Err(source) => HostRules::Failed(InstallError { path, source }),
    }
}

/// The file is there as a whole or not at all; udev reads no file that does not end in `.rules`.
fn write(folder: &Path, path: &Path) -> io::Result<()> {
    let next = folder.join(format!(".{FILE}.next"));
    let mut file = File::create(&next)?;
    file.write_all(RULES.as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    File::open(folder)?.sync_all()
}

impl HostRules {
    /// As a condition of the PmemNode.
    #[must_use]
    pub(crate) fn condition(&self) -> NewCondition {
        let (reason, why) = match self {
            Self::Installed => ("RulesInstalled", String::new()),
            Self::NoFolder => ("RulesNotInstalled", "the driver runs without --udev-rules-dir".into()),
            Self::Failed(error) => ("RulesNotInstalled", program::chain(error)),
        };
        let message = if why.is_empty() {
            why
        } else {
            format!(
                "udev of this node may activate what is inside of volumes, such as LVM or md: {why}. Write what \
                 `daxfit-node-driver udev-rules` prints to /etc/udev/rules.d/{FILE} of the node, and let the driver see it \
                 with --udev-rules-dir"
            )
        };
        NewCondition {
            kind: KIND,
            is_true: matches!(self, Self::Installed),
            reason,
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn rules_are_written_once_and_replaced_when_they_differ() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let inode = || fs::metadata(&path).unwrap().ino();
        assert!(install(Some(folder.path())).condition().is_true);
        assert_eq!(fs::read_to_string(&path).unwrap(), RULES);
        let first = inode();
        assert!(install(Some(folder.path())).condition().is_true);
        assert_eq!(inode(), first, "nothing changed, so nothing is written");
        fs::write(&path, "# of an earlier version").unwrap();
        assert!(install(Some(folder.path())).condition().is_true);
        assert_eq!(fs::read_to_string(&path).unwrap(), RULES);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_said_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        for (rules, why) in [
            (install(Some(&missing)), "No such file or directory"),
            (install(None), "--udev-rules-dir"),
        ] {
            let condition = rules.condition();
            assert!(!condition.is_true);
            assert_eq!(condition.reason, "RulesNotInstalled");
            let message = condition.message;
            assert!(
                message.contains(why) && message.contains("daxfit-node-driver udev-rules"),
                "{message}"
            );
        }
    }

    /// In a line that goes on with a backslash, a forgotten one changes the meaning of the next.
    #[test]
    fn each_rule_is_one_line_and_each_jump_has_its_label() {
        for line in RULES.lines() {
            assert!(!line.ends_with('\\'), "{line}");
            if let Some((_, label)) = line.split_once("GOTO=") {
                assert!(RULES.contains(&format!("LABEL={label}")), "{line}");
            }
        }
    }
}
