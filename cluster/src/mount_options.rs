//! The mount options that volumes can have.
//!
//! A volume is one device and one mount point, which the driver chooses. So only options are allowed that can name no
//! other device, file or place, map no owners, and take nothing back that is promised: that a failed mount fails, that
//! the journal is replayed and ordered, that files lie in units of 2 MiB, that damage stops no node. Left out for that, of
//! mount(8): what is for fstab (`auto`, `user`, `nofail`, `_netdev`, `comment=`, `helper=`, `uhelper=`, `x-*`), what
//! changes source or place (`bind`, `move`, `remount`, `loop`, `offset=`, `sizelimit=`, `X-mount.*`, `verity.*`, and how
//! mounts propagate); of ext4: `journal_dev=`, `journal_path=`, `sb=`, quota files, `resuid=`, `resgid=`, `nouid32`,
//! `noload`, `norecovery`, `nobarrier`, `journal_async_commit`, `noblock_validity`, `stripe=`, `abort`, `debug`,
//! `warn_on_error`, `errors=panic`; of xfs: `logdev=`, `rtdev=`, `norecovery`, `sunit=`, `swidth=`, `noalign`.
//! (Linux, Documentation/admin-guide/ext4.rst and xfs.rst, `ext4_param_specs`, `xfs_fs_parameters`.)

use crate::Filesystem;

/// A mount option that a volume cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountOptionError {
    /// It is not one of those that are allowed for the file system.
    #[error(
        "mount option {option:?} is not one that a volume with {filesystem} can have, such as {examples}; docs/using.md \
         has all of them: remove it from mountOptions of the StorageClass, or of the PersistentVolume"
    )]
    NotAllowed {
        /// The option.
        option: String,
        /// The file system.
        filesystem: Filesystem,
        /// Some that are allowed.
        examples: &'static str,
    },
    /// It is allowed, but not with that value.
    #[error(
        "mount option {option:?}: {name} takes {takes}; correct mountOptions of the StorageClass, or of the PersistentVolume"
    )]
    Value {
        /// The option.
        option: String,
        /// What is before its `=`.
        name: String,
        /// What can be after it.
        takes: String,
    },
    /// A quotation mark has no second one.
    #[error("mount options {options:?} have a quotation mark without a second one")]
    OpenQuote {
        /// The options.
        options: String,
    },
}

/// What is after the `=` of an option.
#[derive(Clone, Copy)]
enum Value {
    /// Digits, and perhaps a unit.
    Number,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// An `SELinux` context.
    Context,
}

/// The options that have no value, and those that have one.
struct Allowed {
    flags: &'static [&'static str],
    values: &'static [(&'static str, Value)],
}

const EVERY: Allowed = Allowed {
    flags: &[
        "defaults",
        "ro",
        "rw",
        "exec",
        "noexec",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "symfollow",
        "nosymfollow",
        "async",
        "sync",
        "dirsync",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "lazytime",
        "nolazytime",
        "iversion",
        "noiversion",
        "dax",
    ],
    values: &[
        ("dax", Value::OneOf(&["always", "inode", "never"])),
        ("context", Value::Context),
        ("fscontext", Value::Context),
        ("defcontext", Value::Context),
        ("rootcontext", Value::Context),
    ],
};

const EXT4: Allowed = Allowed {
    flags: &[
        "acl",
        "user_xattr",
        "grpid",
        "bsdgroups",
        "nogrpid",
        "sysvgroups",
        "bsddf",
        "minixdf",
        "barrier",
        "journal_checksum",
        "nojournal_checksum",
        "delalloc",
        "nodelalloc",
        "auto_da_alloc",
        "noauto_da_alloc",
        "dioread_lock",
        "dioread_nolock",
        "init_itable",
        "noinit_itable",
        "discard",
        "nodiscard",
        "block_validity",
    ],
    values: &[
        ("data", Value::OneOf(&["journal", "ordered", "writeback"])),
        ("data_err", Value::OneOf(&["ignore", "abort"])),
        ("errors", Value::OneOf(&["continue", "remount-ro"])),
        ("barrier", Value::OneOf(&["1"])),
        ("auto_da_alloc", Value::OneOf(&["0", "1"])),
        ("mb_optimize_scan", Value::OneOf(&["0", "1"])),
        ("commit", Value::Number),
        ("min_batch_time", Value::Number),
        ("max_batch_time", Value::Number),
        ("journal_ioprio", Value::Number),
        ("inode_readahead_blks", Value::Number),
        ("init_itable", Value::Number),
        ("max_dir_size_kb", Value::Number),
    ],
};

const XFS: Allowed = Allowed {
    flags: &[
        "grpid",
        "bsdgroups",
        "nogrpid",
        "sysvgroups",
        "discard",
        "nodiscard",
        "filestreams",
        "ikeep",
        "noikeep",
        "inode32",
        "inode64",
        "largeio",
        "nolargeio",
        "swalloc",
        "wsync",
        "nouuid",
        "noquota",
        "quota",
        "uquota",
        "usrquota",
        "uqnoenforce",
        "qnoenforce",
        "gquota",
        "grpquota",
        "gqnoenforce",
        "pquota",
        "prjquota",
        "pqnoenforce",
    ],
    values: &[
        ("allocsize", Value::Number),
        ("logbufs", Value::Number),
        ("logbsize", Value::Number),
    ],
};

/// Reads `mountOptions` for a volume with that file system: each option by itself. A flag may hold several with commas
/// between them, as `mount -o` takes them. Whether the device has DAX is not looked at.
///
/// # Errors
/// Names the first option that the volume cannot have, and what it can have instead.
pub fn read_mount_options(filesystem: Filesystem, flags: &[String]) -> Result<Vec<String>, MountOptionError> {
    let mut options = Vec::new();
    for flag in flags {
        for option in split(flag)? {
            check(filesystem, &option)?;
            options.push(option);
        }
    }
    Ok(options)
}

fn check(filesystem: Filesystem, option: &str) -> Result<(), MountOptionError> {
    let (own, examples) = match filesystem {
        Filesystem::Ext4 => (EXT4, "ro, noatime, nosuid, nodev, noexec, errors=remount-ro, commit=30"),
        Filesystem::Xfs => (XFS, "ro, noatime, nosuid, nodev, noexec, logbsize=256k, prjquota"),
    };
    let not_allowed = || MountOptionError::NotAllowed {
        option: option.into(),
        filesystem,
        examples,
    };
    let Some((name, value)) = option.split_once('=') else {
        let known = EVERY.flags.contains(&option) || own.flags.contains(&option);
        return known.then_some(()).ok_or_else(not_allowed);
    };
    let mut values = EVERY.values.iter().chain(own.values);
    let (_, kind) = values.find(|(known, _)| *known == name).ok_or_else(not_allowed)?;
    kind.check(value).map_err(|takes| MountOptionError::Value {
        option: option.into(),
        name: name.into(),
        takes,
    })
}

impl Value {
    /// If the value is another one, the error says what it can be.
    fn check(self, value: &str) -> Result<(), String> {
        match self {
            Self::Number if is_number(value) => Ok(()),
            Self::OneOf(words) if words.contains(&value) => Ok(()),
            Self::Context if is_context(value) => Ok(()),
            Self::Number => Err("a number".into()),
            Self::OneOf(words) => Err(words.join(" or ")),
            Self::Context => Err("an SELinux context, in quotation marks if it has a comma".into()),
        }
    }
}

fn is_number(value: &str) -> bool {
    let digits = value.strip_suffix(['k', 'K', 'm', 'M', 'g', 'G']).unwrap_or(value);
    !digits.is_empty() && digits.len() <= 10 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is between commas may hold nothing that is an option with a value: a kernel without `SELinux` splits at commas, in
/// quotation marks too.
fn is_context(value: &str) -> bool {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let context = quoted.unwrap_or(value);
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    !context.is_empty()
        && context
            .bytes()
            .all(|byte| part(byte) || (quoted.is_some() && byte == b','))
}

/// Splits at commas outside of quotation marks, which `SELinux` contexts have (mount(8), "context=").
fn split(flag: &str) -> Result<Vec<String>, MountOptionError> {
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
        return Err(MountOptionError::OpenQuote { options: flag.into() });
    }
    options.retain(|option| !option.is_empty());
    Ok(options)
}

#[cfg(test)]
mod tests;
