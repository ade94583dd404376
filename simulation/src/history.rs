//! One history: what users do and what goes wrong, made from a seed, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::faults::{Fault, LastSnapshot};
use crate::invariants::{ALWAYS, AT_THE_END, violated};
use crate::time::simulated;
use crate::users::UserAction;
use crate::world::World;

/// One history, before it is lived through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// What everything else follows from.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// What happens from outside, in this order.
    pub steps: Vec<Step>,
}

/// Something that happens from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number in the history as it was made: it keeps it when others are left out.
    pub number: usize,
    /// How long after the one before.
    pub after: Duration,
    /// What happens.
    pub what: What,
}

/// What happens from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Users do something.
    User(UserAction),
    /// Something goes wrong.
    Fault(Fault),
}

/// What did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// The name of the invariant.
    pub invariant: String,
    /// What is wrong, in sentences.
    pub wrong: Vec<String>,
}

/// What became of a history.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// What did not hold, if anything.
    pub broken: Vec<Broken>,
    /// The numbers of the steps that happened.
    pub steps: Vec<usize>,
    /// Writes of our programs, changes of devices, and steps.
    pub events: u64,
    /// Faults by kind.
    pub faults: BTreeMap<String, u64>,
    /// How long it took in simulated time.
    pub simulated_seconds: u64,
    /// How often pods read what was written.
    pub reads: u64,
    /// The places in our programs that were reached, as far as they say something there.
    pub reached: Vec<String>,
    /// A number that differs if anything went another way.
    pub fingerprint: u64,
}

/// How long everything may take to settle when faults have ended: kube-scheduler looks at forgotten pods after five minutes.
const SETTLES_WITHIN: Duration = Duration::from_secs(1200);
/// How long it has to stay so.
const STAYS_FOR: Duration = Duration::from_secs(70);
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl History {
    /// The history of a seed. Some have many faults, some none; some are crowded.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let faults = [0, 15, 30, 50][rng.usize(..4)];
        let pace = [200, 2_000, 15_000][rng.usize(..3)];
        let steps = rng.usize(20..60);
        let steps = (0..steps).map(|number| Step {
            number,
            after: Duration::from_millis(rng.u64(..pace)),
            what: if rng.u32(..100) < faults {
                What::Fault(Fault::any(&mut rng))
            } else {
                What::User(UserAction::any(&mut rng))
            },
        });
        let steps = steps.collect();
        let mut history = Self {
            seed,
            nodes: rng.usize(1..=3),
            steps,
        };
        if faults > 0 && rng.u8(..8) == 0 {
            history.end_in_the_past(&mut rng);
        }
        history
    }

    /// Nothing happens any more after etcd is restored: what is not noticed by itself stays so.
    fn end_in_the_past(&mut self, rng: &mut fastrand::Rng) {
        let restored = [Fault::TakeSnapshot, Fault::Restore];
        for (place, fault) in [rng.usize(self.steps.len() / 2..self.steps.len()), self.steps.len() + 1]
            .into_iter()
            .zip(restored)
        {
            let after = Duration::from_millis(rng.u64(..5_000));
            let what = What::Fault(fault);
            self.steps.insert(place, Step { number: 0, after, what });
        }
        for (number, step) in self.steps.iter_mut().enumerate() {
            step.number = number;
        }
    }

    /// The steps with these numbers do not happen; the others happen when they would have.
    pub fn leave_out(&mut self, numbers: &[usize]) {
        let mut waited = Duration::ZERO;
        self.steps.retain_mut(|step| {
            let stays = !numbers.contains(&step.number);
            waited += step.after;
            if stays {
                step.after = std::mem::take(&mut waited);
            }
            stays
        });
    }

    /// Lives through it. A process has one history only: see [`simulated`].
    ///
    /// # Errors
    /// There is no runtime for it.
    pub fn run(&self) -> std::io::Result<Outcome> {
        simulated(self.seed, async || self.live().await)
    }

    async fn live(&self) -> Outcome {
        let began = Instant::now();
        let world = World::start(self.seed, self.nodes);
        let mut outcome = Outcome::default();
        let snapshot = LastSnapshot::default();
        for step in &self.steps {
            sleep(step.after).await;
            outcome.steps.push(step.number);
            tracing::debug!(time = ?began.elapsed(), "step {step}");
            match &step.what {
                What::User(action) => action.carry_out(&world, &format!("app{}", step.number)),
                What::Fault(fault) => {
                    *outcome.faults.entry(fault.kind()).or_default() += 1;
                    fault.happen(&world, &snapshot);
                }
            }
            // What it sets off, before somebody looks.
            tokio::task::yield_now().await;
            outcome.broken = owned(violated(&world, &ALWAYS));
            if !outcome.broken.is_empty() {
                break;
            }
        }
        if outcome.broken.is_empty() {
            outcome.broken = settle(&world).await;
        }
        outcome.events = world.effects() + outcome.steps.len() as u64;
        outcome.reads = world.oracle.reads();
        outcome.simulated_seconds = began.elapsed().as_secs();
        outcome.fingerprint = outcome.events ^ world.api.fingerprint();
        outcome
    }
}

/// What did not come right, or did not stay so.
async fn settle(world: &World) -> Vec<Broken> {
    world.heal();
    // What was still to end by itself, ends.
    sleep(Duration::from_secs(90)).await;
    world.heal();
    let until = Instant::now() + SETTLES_WITHIN;
    loop {
        let always = violated(world, &ALWAYS);
        if !always.is_empty() {
            return owned(always);
        }
        let wrong = violated(world, &AT_THE_END);
        let is_over = Instant::now() >= until;
        if wrong.is_empty() {
            // What failed last may be repeated once more, and be written then; but not again and again.
            match stay(world).await {
                Stayed::Written(_) if !is_over => {}
                Stayed::Written(written) => return vec![written],
                Stayed::Broken(broken) => return broken,
            }
        } else if is_over {
            return owned(wrong);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// What became of a world that has settled.
enum Stayed {
    /// What did not stay so, if anything.
    Broken(Vec<Broken>),
    /// All stayed so, but something was written.
    Written(Broken),
}

async fn stay(world: &World) -> Stayed {
    let version = world.api.version();
    sleep(STAYS_FOR).await;
    let mut wrong = violated(world, &ALWAYS);
    wrong.extend(violated(world, &AT_THE_END));
    let written = world.api.written_since(version);
    if !wrong.is_empty() || written.is_empty() {
        return Stayed::Broken(owned(wrong));
    }
    Stayed::Written(Broken {
        invariant: "nothing is written when everything has settled".into(),
        wrong: written,
    })
}

fn owned(wrong: Vec<(&'static str, Vec<String>)>) -> Vec<Broken> {
    let broken = |(name, wrong): (&str, _)| Broken {
        invariant: name.to_owned(),
        wrong,
    };
    wrong.into_iter().map(broken).collect()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3} after {:>6} ms: ", self.number, self.after.as_millis())?;
        match &self.what {
            What::User(action) => write!(f, "{action:?}"),
            What::Fault(fault) => write!(f, "{fault:?}"),
        }
    }
}
