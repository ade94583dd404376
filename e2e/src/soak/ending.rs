//! When and how the program is ended before it is done.

use std::fmt;
use std::time::Duration;

use super::crash_points::CrashPoint;

/// What ends the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// SIGKILL, to it and all that it started.
    Kill,
    /// The machine's power is cut.
    PowerCut,
}

/// When.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum When {
    /// After the effect of that number among those of its name.
    After(u64),
    /// After this time, whatever it does then: the moments within an effect are met by chance.
    Within(Duration),
}

/// An end before the program is done.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// What ends it.
    pub(super) fault: Fault,
    /// Where the matrix counts it.
    pub(super) point: CrashPoint,
    /// When it comes.
    pub(super) when: When,
}

impl Ending {
    /// Whether it comes after an effect that has a name, and so at the same place each time.
    pub(super) fn is_named(&self) -> bool {
        match self.when {
            When::After(_) => true,
            When::Within(_) => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "SIGKILL",
            Self::PowerCut => "power cut",
        })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fault, point) = (self.fault, &self.point);
        match self.when {
            When::After(1) => write!(f, "{fault} after {}", point.effect),
            When::After(number) => write!(f, "{fault} after {} {number}", point.effect),
            When::Within(time) => write!(f, "{fault} after {:.2} s", time.as_secs_f64()),
        }
    }
}
