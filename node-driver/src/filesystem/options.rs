//! The options that a volume is mounted with.

use cluster::{Filesystem, MountOptionError, read_mount_options};

/// Options for `mount -o`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    list: Vec<String>,
}

/// A mount option that a volume cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// It turns DAX off where DAX is promised.
    #[error(
        "mount option {option:?} turns DAX off, but this volume is mounted with dax=always: remove it from mountOptions, \
         or use a StorageClass with csi.daxfit.dev/mode: sector"
    )]
    DaxOff {
        /// The option.
        option: String,
    },
    /// It turns DAX on where there is none.
    #[error(
        "mount option {option:?} asks for DAX, which this volume does not offer: remove it from mountOptions, or use a \
         StorageClass with csi.daxfit.dev/mode: fsdax on a node with real persistent memory"
    )]
    NoDax {
        /// The option.
        option: String,
    },
    /// No volume with that file system can have it.
    #[error(transparent)]
    Option(#[from] MountOptionError),
}

impl MountOptions {
    /// The options for a volume with that file system: those that the user asked for, each once, and `dax=always` if the
    /// device has `dax`.
    ///
    /// # Errors
    /// Names the first option that the volume cannot have.
    pub fn plan(filesystem: Filesystem, flags: &[String], dax: bool) -> Result<Self, OptionError> {
        let mut list: Vec<String> = Vec::new();
        for option in read_mount_options(filesystem, flags)? {
            fits_dax(&option, dax)?;
            // Of options that exclude each other, such as ro and rw, mount(8) takes the last.
            list.retain(|earlier| *earlier != option);
            if !is_dax_on(&option) {
                list.push(option);
            }
        }
        if dax {
            list.push("dax=always".into());
        }
        Ok(Self { list })
    }

    /// Whether nothing can be written: the last of `ro` and `rw` counts.
    #[must_use]
    pub fn read_only(&self) -> bool {
        let mut last = self.list.iter().rev();
        last.find(|option| *option == "ro" || *option == "rw")
            .is_some_and(|option| option == "ro")
    }

    /// For `mount -o`: never empty.
    #[must_use]
    pub fn to_argument(&self) -> String {
        if self.list.is_empty() {
            return "defaults".into();
        }
        self.list.join(",")
    }
}

fn is_dax_on(option: &str) -> bool {
    matches!(option, "dax" | "dax=always")
}

/// ext4 has no DAX with `data=journal` (Linux, Documentation/filesystems/dax.rst).
fn is_dax_off(option: &str) -> bool {
    matches!(option, "dax=never" | "dax=inode" | "data=journal")
}

fn fits_dax(option: &str, dax: bool) -> Result<(), OptionError> {
    let option_owned = || option.to_owned();
    if is_dax_on(option) && !dax {
        return Err(OptionError::NoDax { option: option_owned() });
    }
    if is_dax_off(option) && dax {
        return Err(OptionError::DaxOff { option: option_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Filesystem::{Ext4, Xfs};
    use rstest::rstest;

    fn options(filesystem: Filesystem, flags: &[&str], dax: bool) -> Result<MountOptions, OptionError> {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        MountOptions::plan(filesystem, &flags, dax)
    }

    #[rstest]
    #[case::nothing(Ext4, &[], true, "dax=always")]
    #[case::nothing_without_dax(Ext4, &[], false, "defaults")]
    #[case::kept(Xfs, &["noatime", "nodev"], true, "noatime,nodev,dax=always")]
    #[case::dax_said_twice(Xfs, &["dax", "dax=always"], true, "dax=always")]
    #[case::several_in_one(Ext4, &["noatime,nodev", "", "noatime"], false, "nodev,noatime")]
    #[case::dax_off_where_there_is_none(Ext4, &["dax=never"], false, "dax=never")]
    #[case::journal_where_there_is_no_dax(Ext4, &["data=journal"], false, "data=journal")]
    #[case::quoted(Ext4, &["context=\"a:c1,c2\",ro"], false, "context=\"a:c1,c2\",ro")]
    #[case::of_ext4(Ext4, &["data=ordered"], true, "data=ordered,dax=always")]
    #[case::of_xfs(Xfs, &["logbsize=256k"], true, "logbsize=256k,dax=always")]
    fn planned(#[case] fs: Filesystem, #[case] flags: &[&str], #[case] dax: bool, #[case] expected: &str) {
        assert_eq!(options(fs, flags, dax).unwrap().to_argument(), expected);
    }

    #[rstest]
    #[case::off(&["dax=never"], true, "turns DAX off")]
    #[case::by_file(&["noatime,dax=inode"], true, "turns DAX off")]
    #[case::by_the_journal(&["data=journal"], true, "turns DAX off")]
    #[case::none_to_turn_on(&["dax"], false, "asks for DAX")]
    #[case::none_to_turn_on_always(&["dax=always"], false, "asks for DAX")]
    #[case::other_source(&["noatime,journal_path=/dev/sda"], true, "is not one that a volume with ext4 can have")]
    #[case::of_another_file_system(&["logbsize=256k"], true, "is not one that a volume with ext4 can have")]
    #[case::open(&["context=\"a"], true, "quotation mark")]
    fn refused(#[case] flags: &[&str], #[case] dax: bool, #[case] why: &str) {
        let refused = options(Ext4, flags, dax).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }

    #[rstest]
    #[case(&["ro"], true)]
    #[case(&["ro", "rw"], false)]
    #[case(&["ro", "rw", "ro"], true)]
    #[case(&["rw,ro"], true)]
    #[case(&["noatime"], false)]
    fn read_only(#[case] flags: &[&str], #[case] expected: bool) {
        assert_eq!(options(Ext4, flags, true).unwrap().read_only(), expected);
    }
}
