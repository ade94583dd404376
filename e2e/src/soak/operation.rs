//! What is done in one step of a run.

use std::fmt;

use placement::Bytes;

use super::content::Piece;
use super::foreign::Foreign;
use super::volume::Volume;

/// One step.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// A volume is made.
    Make(Volume),
    /// It is handed out, or used again, and its content compared.
    Stage(String),
    /// A file is written to it, or the beginning of a block volume.
    Write(String, Piece),
    /// Its content is compared.
    Compare(String),
    /// It is given back.
    Unstage(String),
    /// It is erased.
    Erase(String),
    /// What is free and not known to be zero is made zero.
    Sweep,
    /// Somebody else makes a namespace.
    MakeForeign(Foreign),
    /// Somebody else destroys it.
    DestroyForeign(String),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |size: Bytes| format!("{} bytes", size.get());
        match self {
            Self::Make(volume) => {
                let (name, required) = (&volume.name, size(volume.required));
                write!(f, "make {name}: {}, {required}", volume.kind.described())
            }
            Self::Stage(name) => write!(f, "stage {name}"),
            Self::Write(name, piece) => write!(f, "write piece {} of {} to {name}", piece.number, size(piece.size)),
            Self::Compare(name) => write!(f, "compare {name}"),
            Self::Unstage(name) => write!(f, "unstage {name}"),
            Self::Erase(name) => write!(f, "erase {name}"),
            Self::Sweep => write!(f, "sweep what is free"),
            Self::MakeForeign(foreign) => write!(f, "somebody else makes {}: {}", foreign.name, size(foreign.size)),
            Self::DestroyForeign(name) => write!(f, "somebody else destroys {name}"),
        }
    }
}
