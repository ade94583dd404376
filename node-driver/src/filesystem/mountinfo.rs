//! `/proc/self/mountinfo`, as proc(5) describes it.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Number of a device, as stat(2) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// The driver.
    pub major: u32,
    /// The device among those of the driver.
    pub minor: u32,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The device of the file system.
    pub device: DeviceNumber,
    /// What of the file system is shown: `/`, or the path inside that was bound.
    pub root: PathBuf,
    /// Where it is shown.
    pub point: PathBuf,
    /// Options of this mount alone, with commas between them.
    pub options: String,
    /// Type of the file system.
    pub fs_type: String,
    /// Options of the file system, with commas between them.
    pub super_options: String,
}

/// All mounts, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountTable {
    mounts: Vec<Mount>,
}

/// A line is not as proc(5) describes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this line of /proc/self/mountinfo is not understood: {0:?}")]
pub struct NotMountInfo(String);

impl DeviceNumber {
    /// From the one number that stat(2) has for a device.
    #[must_use]
    pub fn from_raw(number: u64) -> Self {
        Self {
            major: rustix::fs::major(number),
            minor: rustix::fs::minor(number),
        }
    }

    /// From `major:minor`, as the kernel writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl Mount {
    /// Whether nothing can be written through this mount.
    #[must_use]
    pub fn read_only(&self) -> bool {
        has_option(&self.options, "ro")
    }

    /// Whether the file system itself is read-only.
    #[must_use]
    pub fn super_read_only(&self) -> bool {
        has_option(&self.super_options, "ro")
    }

    /// Whether the file system shows that it maps all files directly. ext2 shows `dax`, ext4 and xfs `dax=always`.
    #[must_use]
    pub fn shows_dax(&self) -> bool {
        has_option(&self.super_options, "dax=always") || has_option(&self.super_options, "dax")
    }
}

/// Whether `options`, with commas between them, have this one.
pub(super) fn has_option(options: &str, wanted: &str) -> bool {
    options.split(',').any(|option| option == wanted)
}

impl MountTable {
    /// Parses `/proc/self/mountinfo`.
    ///
    /// # Errors
    /// Names the first line that is not as proc(5) describes it.
    pub fn parse(text: &[u8]) -> Result<Self, NotMountInfo> {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mounts =
            lines.map(|line| parse_line(line).ok_or_else(|| NotMountInfo(String::from_utf8_lossy(line).into_owned())));
        Ok(Self {
            mounts: mounts.collect::<Result<_, _>>()?,
        })
    }

    /// The topmost mount at a path without symbolic links.
    #[must_use]
    pub fn at(&self, point: &Path) -> Option<&Mount> {
        self.mounts.iter().rfind(|mount| mount.point == point)
    }

    /// All mounts, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Mount> {
        self.mounts.iter()
    }

    /// All mounts of the file system on a device.
    pub fn of(&self, device: DeviceNumber) -> impl Iterator<Item = &Mount> {
        self.iter().filter(move |mount| mount.device == device)
    }
}

impl FromIterator<Mount> for MountTable {
    fn from_iter<I: IntoIterator<Item = Mount>>(mounts: I) -> Self {
        Self {
            mounts: mounts.into_iter().collect(),
        }
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Mount id, parent id, device, root, mount point, mount options, optional fields up to "-", type, source, super options.
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = DeviceNumber::parse(std::str::from_utf8(fields.nth(2)?).ok()?)?;
    let root = unescape(fields.next()?).into();
    let point = unescape(fields.next()?).into();
    let options = text(fields.next()?);
    fields.find(|field| *field == b"-")?;
    let fs_type = text(fields.next()?);
    let super_options = text(fields.nth(1)?);
    Some(Mount {
        device,
        root,
        point,
        options,
        fs_type,
        super_options,
    })
}

fn text(field: &[u8]) -> String {
    unescape(field).to_string_lossy().into_owned()
}

/// The kernel writes space, tab, newline, `#` and backslash as a backslash and three octal digits
/// (`mangle_path` in `fs/seq_file.c`).
pub(crate) fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        if let Some(byte) = octal(rest) {
            bytes.push(byte);
            rest = &rest[4..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    OsString::from_vec(bytes)
}

fn octal(escape: &[u8]) -> Option<u8> {
    let digits = escape.strip_prefix(b"\\")?.get(..3)?;
    let all_octal = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    let number = std::str::from_utf8(digits).ok().filter(|_| all_octal)?;
    u8::from_str_radix(number, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    const TABLE: &[u8] = b"\
22 1 254:1 / / rw,relatime shared:1 master:2 - ext4 /dev/vda1 rw,errors=remount-ro\n\
90 22 259:0 / /var/lib/kubelet/globalmount rw,noatime - ext4 /dev/pmem0 rw,dax=always,stripe=512\n\
91 22 259:0 / /pods/a\\040b\\134c\\011\\043 ro,noatime shared:7 - ext4 /dev/pmem0 rw,dax=always\n\
92 22 0:5 /pmem1 /target rw,nosuid - devtmpfs udev rw,size=4k\n\
93 22 259:9 / /target rw - xfs /dev/pmem9 ro,attr2\n";

    #[test]
    fn reads_the_kernels_table() {
        let table = MountTable::parse(TABLE).unwrap();
        let pmem = DeviceNumber { major: 259, minor: 0 };
        let staged = table.at(Path::new("/var/lib/kubelet/globalmount")).unwrap();
        assert_eq!(staged.device, pmem);
        assert_eq!(staged.fs_type, "ext4");
        assert!(staged.shows_dax() && !staged.read_only() && !staged.super_read_only());
        assert_eq!(table.of(pmem).count(), 2);
        assert!(table.at(Path::new("/var/lib")).is_none());
    }

    #[test]
    fn octal_escapes() {
        let table = MountTable::parse(TABLE).unwrap();
        let published = table.at(Path::new("/pods/a b\\c\t#")).unwrap();
        assert!(published.read_only());
        assert_eq!(unescape(b"\\0x\\9"), OsStr::new("\\0x\\9"));
        assert_eq!(unescape(b"\\377"), OsStr::from_bytes(b"\xff"));
        assert_eq!(unescape(b"\\777\\04"), OsStr::new("\\777\\04"));
    }

    #[test]
    fn the_topmost_mount_counts() {
        let table = MountTable::parse(TABLE).unwrap();
        let top = table.at(Path::new("/target")).unwrap();
        assert_eq!(top.fs_type, "xfs");
        assert!(top.super_read_only() && !top.read_only() && !top.shows_dax());
        assert_eq!(table.iter().filter(|m| m.root == Path::new("/pmem1")).count(), 1);
    }

    #[test]
    fn shows_the_line_that_is_not_understood() {
        let error = MountTable::parse(b"22 1 254:1 / / rw\n").unwrap_err();
        assert!(error.to_string().contains("22 1 254:1"), "{error}");
        assert!(MountTable::parse(b"1 2 x:1 / / rw - a b c\n").is_err());
        assert_eq!(MountTable::parse(b"").unwrap(), MountTable::default());
    }
}
