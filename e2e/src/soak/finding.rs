//! What a run finds wrong.

use std::error::Error;
use std::fmt;

/// What was done to somebody's data or space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    /// Bytes, or a namespace, that were confirmed are not there any more.
    Lost,
    /// Bytes of an earlier tenant can be read.
    Shown,
    /// Space belongs to nobody, or a volume has a second namespace.
    Leaked,
    /// What was interrupted cannot be finished.
    Stuck,
}

/// A defect, with its evidence.
#[derive(Debug)]
pub(super) struct Finding {
    /// What kind of harm.
    pub(super) harm: Harm,
    what: String,
}

impl Finding {
    /// Something confirmed is gone.
    pub(super) fn lost(what: impl Into<String>) -> Self {
        Self::new(Harm::Lost, what)
    }

    /// Something of another tenant can be read.
    pub(super) fn shown(what: impl Into<String>) -> Self {
        Self::new(Harm::Shown, what)
    }

    /// Space belongs to nobody, or is taken twice.
    pub(super) fn leaked(what: impl Into<String>) -> Self {
        Self::new(Harm::Leaked, what)
    }

    /// Something cannot be finished.
    pub(super) fn stuck(what: impl Into<String>) -> Self {
        Self::new(Harm::Stuck, what)
    }

    fn new(harm: Harm, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { harm, what }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lost => "lost",
            Self::Shown => "shown",
            Self::Leaked => "leaked",
            Self::Stuck => "stuck",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.harm, self.what)
    }
}

impl Error for Finding {}
