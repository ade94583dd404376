//! Content that is known byte by byte: decimal numbers, one a line, from one that no other piece has.
//!
//! No two pieces have a line in common, and no line comes twice, so that a byte of another tenant, an earlier time or another
//! place is never taken for the right one.

use placement::Bytes;

use super::volume::Volume;

/// Numbers in one piece at most, and more.
const APART: u64 = 1_000_000_000;

/// Bytes that were written at once: a file, or the beginning of a block volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its number among all pieces of the run, from 1.
    pub(super) number: u64,
    /// How many there are.
    pub(super) size: Bytes,
}

impl Piece {
    /// A command that prints it. The first numbers depend on the seed: an earlier run has others.
    fn print(&self, seed: u64) -> String {
        let first = (1_000_000 + seed % 1_000_000) * 1_000_000 + self.number;
        format!(
            "seq {} inf 2>/dev/null | head -c {}",
            u128::from(first) * u128::from(APART),
            self.size.get()
        )
    }

    fn file(&self, volume: &Volume) -> String {
        format!("{}/{}", volume.directory(), self.number)
    }
}

/// A script that writes a piece, and ends when it is on the device. `device` is that of the volume.
pub(super) fn write(piece: &Piece, volume: &Volume, device: &str, seed: u64) -> String {
    let print = piece.print(seed);
    if volume.kind.is_block() {
        return format!("{print} | dd of={device} bs=1M iflag=fullblock conv=fsync,notrunc status=none");
    }
    let file = piece.file(volume);
    format!("set -e; {print} >{file}; sync -f {file}")
}

/// A script that fails, and says which, if a piece of a volume is not exactly as it was written. What the kernel remembers of
/// the device is forgotten before.
pub(super) fn compare(volume: &Volume, device: &str, seed: u64) -> String {
    let each = volume.pieces.iter().map(|piece| {
        let (print, size) = (piece.print(seed), piece.size.get());
        if volume.kind.is_block() {
            format!("{print} | cmp -n {size} - {device} || exit 1")
        } else {
            format!("{print} | cmp - {} || exit 1", piece.file(volume))
        }
    });
    let each: Vec<String> = each.collect();
    format!("sync; echo 1 >/proc/sys/vm/drop_caches\n{}", each.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_runs_have_no_line_in_common() {
        let piece = |number| Piece {
            number,
            size: Bytes::mib(8),
        };
        assert_eq!(
            piece(7).print(3),
            "seq 1000003000007000000000 inf 2>/dev/null | head -c 8388608"
        );
        assert_ne!(piece(7).print(3), piece(8).print(3));
        assert_ne!(piece(7).print(3), piece(7).print(4));
    }
}
