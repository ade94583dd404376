//! The parts of a volume's life that can be interrupted.

use std::fmt;

/// A part of a volume's life. Each but writing is one call of our program, and has effects of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// A namespace whose bytes are all zero.
    Make,
    /// Formatted and mounted, or given out as a block device, for the first time.
    HandOut,
    /// Mounted again.
    UseAgain,
    /// Whoever uses it writes.
    Write,
    /// All bytes zeroed, and the namespace destroyed.
    Erase,
    /// Free bytes zeroed before anybody needs them.
    Sweep,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Make => "make",
            Self::HandOut => "hand out",
            Self::UseAgain => "use again",
            Self::Write => "write",
            Self::Erase => "erase",
            Self::Sweep => "sweep",
        })
    }
}
