//! Refusals as people read them.

use std::fmt;
use std::slice::from_ref;

use super::Refusal;
use super::space::{ReservedSpace, Space, best, extents, free};
use crate::{Bytes, NumaNode};

/// Why something does not fit on a node where space is taken off for these reservations.
pub(super) struct RefusalText<'a>(pub &'a Refusal, pub &'a [ReservedSpace]);

impl fmt::Display for RefusalText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(refusal, reserved) = self;
        let reserved = ReservedText(reserved);
        match refusal {
            Refusal::BeyondAddressing { required } => write!(f, "{}: no namespace can be that large", asked(required)),
            Refusal::LimitTooLow {
                required,
                limit,
                usable,
            } => write!(
                f,
                "{} to {limit}, but the smallest namespace with {required} has {usable}: raise the limit to {usable}",
                asked(required)
            ),
            Refusal::NoRegion {
                required,
                numa,
                unready,
            } => write!(f, "{}: no ready region{}{}", asked(required), On(*numa), Why(unready)),
            Refusal::NoSpace { required, space } => write!(f, "{}; {}{reserved}", asked(required), SpaceText(space)),
            Refusal::NotTogether {
                required,
                on_one_numa_node,
                space,
                tried_all,
            } => {
                let asked = AskedText(required, *on_one_numa_node);
                let untried = if *tried_all {
                    ""
                } else {
                    "; too many orders of creation to try"
                };
                write!(f, "{asked}; {}{reserved}{untried}", SpaceText(space))
            }
        }
    }
}

fn asked(required: &Bytes) -> AskedText<'_> {
    AskedText(from_ref(required), 0)
}

/// Of more claims than this only the first are named: the text goes into kube-scheduler's summary.
const MOST_SHOWN: usize = 4;

/// "asked 28 MiB + 14 MiB", and how many of these have to be on one NUMA node; none if that restricts nothing.
pub(crate) struct AskedText<'a>(pub &'a [Bytes], pub usize);

impl fmt::Display for AskedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(required, on_one_numa_node) = self;
        let shown = if required.len() > MOST_SHOWN {
            MOST_SHOWN - 1
        } else {
            required.len()
        };
        let sizes: Vec<String> = required[..shown].iter().map(Bytes::to_string).collect();
        write!(f, "asked {}", sizes.join(" + "))?;
        if shown < required.len() {
            let sum: Bytes = required.iter().copied().sum();
            write!(f, " + {} more, {sum} in all", required.len() - shown)?;
        }
        match *on_one_numa_node {
            0 => Ok(()),
            n if n == required.len() => f.write_str(" on one NUMA node"),
            n => write!(f, ", {n} of them on one NUMA node"),
        }
    }
}

/// "largest extent 64 MiB on NUMA 1, 180 MiB free in 4 extents"
struct SpaceText<'a>(&'a [Space]);

impl fmt::Display for SpaceText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(best) = best(self.0) else {
            return f.write_str("no region");
        };
        let (largest, on) = (best.largest, On(best.numa));
        let (free, extents) = (free(self.0), extents(self.0));
        let s = if extents == 1 { "" } else { "s" };
        write!(f, "largest extent {largest}{on}, {free} free in {extents} extent{s}")
    }
}

/// ", 32 MiB reserved for ns/claim"; nothing if nothing is.
struct ReservedText<'a>(&'a [ReservedSpace]);

impl fmt::Display for ReservedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([first, others @ ..]) = self else {
            return Ok(());
        };
        let bytes: Bytes = self.0.iter().map(|reserved| reserved.bytes).sum();
        write!(f, ", {bytes} reserved for {}", first.claim)?;
        match others {
            [] => Ok(()),
            [second] => write!(f, " and {}", second.claim),
            more => write!(f, " and {} more", more.len()),
        }
    }
}

/// " on NUMA 1"; nothing if the platform does not tell, or nobody asked.
struct On(Option<NumaNode>);

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |numa| write!(f, " on NUMA {numa}"))
    }
}

/// ": region0 is disabled: `ndctl enable-region region0`; and 2 more"; nothing if there is no region.
struct Why<'a>(&'a [String]);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            [only] => write!(f, ": {only}"),
            [first, others @ ..] => write!(f, ": {first}; and {} more", others.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_claims_and_numa_nodes_are_short_too() {
        let asked = |n: u32, on_one| AskedText(&(1..=n).map(Bytes::mib).collect::<Vec<_>>(), on_one).to_string();
        assert_eq!(asked(4, 0), "asked 1 MiB + 2 MiB + 3 MiB + 4 MiB");
        assert_eq!(asked(20, 0), "asked 1 MiB + 2 MiB + 3 MiB + 17 more, 210 MiB in all");
        assert_eq!(asked(2, 2), "asked 1 MiB + 2 MiB on one NUMA node");
        assert_eq!(asked(3, 2), "asked 1 MiB + 2 MiB + 3 MiB, 2 of them on one NUMA node");
    }
}
