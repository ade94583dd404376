//! Histories in which nothing goes wrong but delays, on nodes that fill up. In these the extender keeps its promise: what passes
//! its filter can be created, whatever the order in which the watches of the programs show things.

use std::time::Duration;

use crate::faults::{Fault, WATCHED};
use crate::history::{History, Step, What};
use crate::surroundings::scheduler::Manner;
use crate::users::{NewClaim, UserAction};

/// The first of the programs in [`World::networks`](crate::world::World::networks).
const OPERATOR: usize = 0;

/// The classes of claims that are scheduled; a volume that is made at once is seen by the extender only when it is there.
const CLASSES: [&str; 8] = [
    "ext4", "ext4", "ext4", "together", "together", "together", "sector", "numa-0",
];

/// What one such history is like.
struct Calm {
    nodes: usize,
    largest: i64,
    /// Whether volumes are deleted. The operator sees everything at once then: what it does not know to be free again, it
    /// refuses.
    frees: bool,
}

/// A calm history.
#[must_use]
pub fn history(seed: u64, rng: &mut fastrand::Rng) -> History {
    let calm = Calm {
        nodes: rng.usize(1..=3),
        largest: [8, 16, 32][rng.usize(..3)] << 20,
        frees: rng.bool(),
    };
    let longest_write = [20, 1_000, 8_000][rng.usize(..3)];
    let pace = [50, 500, 5_000][rng.usize(..3)];
    let first = calm.first_step().into_iter();
    let others = (0..rng.usize(20..80)).map(|_| (rng.u64(..pace), calm.any(rng)));
    let all: Vec<_> = first.map(|what| (0, what)).chain(others).collect();
    let step = |(number, (after, what))| Step {
        number,
        after: Duration::from_millis(after),
        what,
    };
    History {
        seed,
        nodes: calm.nodes,
        // Two of them have two ledgers, and promise the same bytes.
        schedulers: 1,
        is_calm: true,
        scheduler: Manner {
            is_extender_ignorable: false,
            longest_write: Duration::from_millis(longest_write),
        },
        steps: all.into_iter().enumerate().map(step).collect(),
    }
}

impl Calm {
    fn first_step(&self) -> Option<What> {
        let ever = Duration::from_secs(3600);
        self.frees
            .then_some(What::Fault(Fault::Behind(OPERATOR, None, Duration::ZERO, ever)))
    }

    fn any(&self, rng: &mut fastrand::Rng) -> What {
        let number = rng.usize(..);
        What::User(match rng.u32(..100) {
            0..45 => UserAction::CreateApp(self.claims(rng)),
            45..55 => UserAction::CreateSharingApp(number, self.claims(rng)),
            55..62 => UserAction::CreatePod(number),
            62..66 => UserAction::DeletePod(number),
            66..80 if self.frees => UserAction::DeleteSettledApp(number),
            80..82 => UserAction::Cordon(number, rng.bool()),
            _ => return What::Fault(self.delay(rng)),
        })
    }

    fn claims(&self, rng: &mut fastrand::Rng) -> Vec<NewClaim> {
        let claim = |rng: &mut fastrand::Rng| {
            let class = CLASSES[rng.usize(..CLASSES.len())];
            NewClaim::of(class, rng.i64(1 << 20..self.largest), rng.u32(..6) == 0)
        };
        (0..rng.usize(1..=3)).map(|_| claim(rng)).collect()
    }

    fn delay(&self, rng: &mut fastrand::Rng) -> Fault {
        let lag = Duration::from_millis(rng.u64(10..20_000));
        let long = Duration::from_millis(rng.u64(1_000..60_000));
        match rng.u32(..20) {
            0..8 => Fault::Behind(self.program(rng), Some(WATCHED[rng.usize(..WATCHED.len())]), lag, long),
            8..12 => Fault::Behind(self.program(rng), None, lag, long),
            12..15 => Fault::KillExtenderInBetween,
            _ => Fault::Kill(self.other_program(rng)),
        }
    }

    /// One whose watches may be behind.
    fn program(&self, rng: &mut fastrand::Rng) -> usize {
        let first = usize::from(self.frees);
        rng.usize(first..2 + self.nodes)
    }

    /// Any but the second and the third of those that a fault can kill: extender and kube-scheduler, which would decide anew on
    /// pods whose claims the extender has not seen yet to be decided.
    fn other_program(&self, rng: &mut fastrand::Rng) -> usize {
        let all = 4 + 2 * self.nodes;
        (3 + rng.usize(..all - 2)) % all
    }
}
