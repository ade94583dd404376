//! The options that a volume is mounted with.

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
    /// It changes what is mounted, or where.
    #[error(
        "mount option {option:?} is not allowed: it changes what is mounted, or where; remove it from mountOptions"
    )]
    NotAllowed {
        /// The option.
        option: String,
    },
    /// A quotation mark has no second one.
    #[error("mount options {options:?} have a quotation mark without a second one")]
    OpenQuote {
        /// The options.
        options: String,
    },
}

/// Options of mount(8) that change what is mounted or where, in words and as starts of words.
const NOT_ALLOWED: [&str; 14] = [
    "bind",
    "rbind",
    "move",
    "remount",
    "loop",
    "private",
    "rprivate",
    "slave",
    "rslave",
    "shared",
    "rshared",
    "unbindable",
    "runbindable",
    "fd",
];
const NOT_ALLOWED_STARTS: [&str; 6] = ["loop=", "offset=", "sizelimit=", "X-mount.", "verity.", "fd="];

impl MountOptions {
    /// The options for a volume: those that the user asked for, each once, and `dax=always` if the device has `dax`.
    ///
    /// A flag may hold several options with commas between them, as `mount -o` takes them.
    ///
    /// # Errors
    /// Names the first option that the volume cannot have.
    pub fn plan(flags: &[String], dax: bool) -> Result<Self, OptionError> {
        let mut list: Vec<String> = Vec::new();
        for flag in flags {
            for option in split(flag)? {
                allow(&option, dax)?;
                if !is_dax_on(&option) && !list.contains(&option) {
                    list.push(option);
                }
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

fn allow(option: &str, dax: bool) -> Result<(), OptionError> {
    let option_owned = || option.to_owned();
    let starts = NOT_ALLOWED_STARTS;
    if NOT_ALLOWED.contains(&option) || starts.iter().any(|start| option.starts_with(start)) {
        return Err(OptionError::NotAllowed { option: option_owned() });
    }
    if is_dax_on(option) && !dax {
        return Err(OptionError::NoDax { option: option_owned() });
    }
    if option.starts_with("dax=") && !is_dax_on(option) && dax {
        return Err(OptionError::DaxOff { option: option_owned() });
    }
    Ok(())
}

/// Splits at commas outside of quotation marks, which `SELinux` contexts have (mount(8), "context=").
fn split(flag: &str) -> Result<Vec<String>, OptionError> {
    let mut options = vec![String::new()];
    let mut quoted = false;
    for character in flag.trim().chars() {
        quoted ^= character == '"';
        match options.last_mut() {
            Some(option) if quoted || character != ',' => option.push(character),
            _ => options.push(String::new()),
        }
    }
    if quoted {
        return Err(OptionError::OpenQuote { options: flag.into() });
    }
    options.retain(|option| !option.is_empty());
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn plan(flags: &[&str], dax: bool) -> Result<String, OptionError> {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        MountOptions::plan(&flags, dax).map(|options| options.to_argument())
    }

    #[rstest]
    #[case::nothing(&[], true, "dax=always")]
    #[case::nothing_without_dax(&[], false, "defaults")]
    #[case::kept(&["noatime", "nodev"], true, "noatime,nodev,dax=always")]
    #[case::dax_said_twice(&["dax", "dax=always"], true, "dax=always")]
    #[case::several_in_one(&["noatime,nodev", "", "noatime"], false, "noatime,nodev")]
    #[case::dax_off_where_there_is_none(&["dax=never"], false, "dax=never")]
    #[case::quoted(&["context=\"a:c1,c2\",ro"], false, "context=\"a:c1,c2\",ro")]
    #[case::of_the_file_system(&["data=ordered", "logbsize=256k"], true, "data=ordered,logbsize=256k,dax=always")]
    fn planned(#[case] flags: &[&str], #[case] dax: bool, #[case] expected: &str) {
        assert_eq!(plan(flags, dax).unwrap(), expected);
    }

    #[rstest]
    #[case::off(&["dax=never"], true, "turns DAX off")]
    #[case::by_file(&["noatime,dax=inode"], true, "turns DAX off")]
    #[case::none_to_turn_on(&["dax"], false, "asks for DAX")]
    #[case::none_to_turn_on_always(&["dax=always"], false, "asks for DAX")]
    #[case::other_source(&["bind"], true, "not allowed")]
    #[case::other_source_hidden(&["noatime,loop=/dev/loop3"], true, "not allowed")]
    #[case::other_place(&["X-mount.subdir=x"], true, "not allowed")]
    #[case::open(&["context=\"a"], true, "quotation mark")]
    fn refused(#[case] flags: &[&str], #[case] dax: bool, #[case] why: &str) {
        let refused = plan(flags, dax).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }

    #[rstest]
    #[case(&["ro"], true)]
    #[case(&["ro", "rw"], false)]
    #[case(&["rw,ro"], true)]
    #[case(&["noatime"], false)]
    fn read_only(#[case] flags: &[&str], #[case] expected: bool) {
        let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
        assert_eq!(MountOptions::plan(&flags, true).unwrap().read_only(), expected);
    }
}
