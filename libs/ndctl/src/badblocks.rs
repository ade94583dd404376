//! Stretches of memory that cannot be read.

use std::path::Path;
use std::{fs, io};

use placement::Bytes;

use crate::error::{Error, Operation};

/// The unit of the kernel's lists of bad blocks (`block/badblocks.c`).
const SECTOR: i64 = 512;

/// A stretch that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRange {
    /// Offset of its first byte.
    pub start: Bytes,
    /// Its length.
    pub size: Bytes,
}

/// What the kernel answers for a region that is disabled (`badblocks_show` in `drivers/nvdimm/region_devs.c`).
const ENXIO: i32 = 6;

/// The list in the file `path` of `device`, or nothing if the kernel keeps none.
///
/// libndctl can read it too, but answers the same for "none" and for "could not look".
pub(crate) fn read(path: &Path, device: &str) -> Result<Option<Vec<BadRange>>, Error> {
    let failed = |source| Error::io(Operation::Read("badblocks"), device.to_owned(), source);
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(none) if none.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(none) if none.raw_os_error() == Some(ENXIO) => return Ok(None),
        Err(other) => return Err(failed(other)),
    };
    let unclear = || failed(io::Error::from(io::ErrorKind::InvalidData));
    parse(&text).ok_or_else(unclear).map(Some)
}

/// Lines of "first-sector count".
fn parse(text: &str) -> Option<Vec<BadRange>> {
    text.lines().map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<BadRange> {
    let (first, count) = line.split_once(' ')?;
    Some(BadRange {
        start: sectors(first)?,
        size: sectors(count)?,
    })
}

fn sectors(number: &str) -> Option<Bytes> {
    let bytes = number.trim().parse::<i64>().ok()?.checked_mul(SECTOR)?;
    Bytes::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sectors() {
        assert_eq!(parse("").unwrap(), []);
        let bad = BadRange {
            start: Bytes::kib(400),
            size: Bytes::kib(4),
        };
        assert_eq!(parse("800 8\n").unwrap(), [bad]);
        assert_eq!(parse("800 8\n0 1\n").unwrap().len(), 2);
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        assert_eq!(parse("800\n"), None);
        assert_eq!(parse("-1 8\n"), None);
        assert_eq!(parse("800 8\nx y\n"), None);
    }

    #[test]
    fn no_file_is_not_an_empty_list() {
        let folder = std::env::temp_dir();
        let missing = folder.join("no-such-badblocks-file");
        assert_eq!(read(&missing, "pmem0").unwrap(), None);
        assert!(read(&folder, "pmem0").is_err());
    }
}
