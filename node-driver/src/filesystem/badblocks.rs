//! The kernel's list of bad sectors of a block device.

use placement::Bytes;

/// What `badblocks` in sysfs counts in (`badblocks_show` in `block/badblocks.c`).
const SECTOR: Bytes = Bytes::new(512);

/// Sums up the lines "start length"; none if a line is not like that.
pub(super) fn sum(text: &str) -> Option<Bytes> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let (_, length) = line.trim().split_once(' ')?;
            Some(SECTOR.times(length.trim().parse().ok()?))
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_sectors() {
        assert_eq!(sum("800 8\n1600 16\n"), Some(Bytes::kib(12)));
        assert_eq!(sum("\n"), Some(Bytes::ZERO));
        assert_eq!(sum(""), Some(Bytes::ZERO));
        assert_eq!(sum("800\n"), None);
    }
}
