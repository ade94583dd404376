//! One history: what users do and what goes wrong, made from a seed, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::calm;
use crate::faults::{Fault, LastSnapshot};
use crate::invariants::{ALWAYS, AT_THE_END, IN_CALM, violated};
use crate::promises::Counts;
use crate::surroundings::scheduler::Manner;
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
    /// How many schedulers there are.
    pub schedulers: usize,
    /// Whether nothing goes wrong but delays: then nothing is refused that passed the filter.
    pub is_calm: bool,
    /// How kube-scheduler goes about its work.
    pub scheduler: Manner,
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
    /// Whether nothing went wrong but delays.
    pub is_calm: bool,
    /// What was asked of the extender, and what became of it.
    pub promises: Counts,
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
    /// The history of a seed. Some have many faults, some none; some are crowded; a sixth is calm.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        if rng.u32(..6) == 0 {
            return calm::history(seed, &mut rng);
        }
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
            schedulers: if rng.u32(..4) == 0 { 2 } else { 1 },
            is_calm: false,
            scheduler: Manner::default(),
            steps,
        };
        match if faults > 0 { rng.u8(..8) } else { u8::MAX } {
            0 => history.end_in_the_past(&mut rng),
            1 => history.outlive_a_driver(&mut rng),
            _ => {}
        }
        history
    }

    /// A driver dies for so long that what waits for it is given back.
    fn outlive_a_driver(&mut self, rng: &mut fastrand::Rng) {
        let place = rng.usize(self.steps.len() / 2..self.steps.len());
        let after = Duration::from_millis(rng.u64(..5_000));
        let dies = What::Fault(Fault::DriverDies(rng.usize(..), Duration::from_secs(600)));
        self.steps.insert(
            place,
            Step {
                number: 0,
                after,
                what: dies,
            },
        );
        let after = Duration::from_secs(rng.u64(200..500));
        let what = What::Fault(Fault::BreakWatches);
        self.steps.push(Step { number: 0, after, what });
        self.number();
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
        self.number();
    }

    fn number(&mut self) {
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
        let world = World::start(self.seed, self.nodes, self.schedulers, self.scheduler);
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
            outcome.broken = owned(self.wrong_now(&world));
            if !outcome.broken.is_empty() {
                break;
            }
        }
        if outcome.broken.is_empty() {
            outcome.broken = self.settle(&world).await;
        }
        outcome.events = world.effects() + outcome.steps.len() as u64;
        outcome.is_calm = self.is_calm;
        outcome.promises = world.promises.counts();
        outcome.reads = world.oracle.reads();
        outcome.simulated_seconds = began.elapsed().as_secs();
        outcome.fingerprint = outcome.events ^ world.api.fingerprint();
        outcome
    }

    /// What does not hold, though it has to at each moment.
    fn wrong_now(&self, world: &World) -> Vec<(&'static str, Vec<String>)> {
        let mut wrong = violated(world, &ALWAYS);
        if self.is_calm {
            wrong.extend(violated(world, &IN_CALM));
        }
        wrong
    }

    fn wrong_at_the_end(&self, world: &World) -> Vec<(&'static str, Vec<String>)> {
        let mut wrong = self.wrong_now(world);
        wrong.extend(violated(world, &AT_THE_END));
        wrong
    }

    /// What did not come right, or did not stay so.
    async fn settle(&self, world: &World) -> Vec<Broken> {
        world.heal();
        // What was still to end by itself, ends.
        sleep(Duration::from_secs(90)).await;
        world.heal();
        let until = Instant::now() + SETTLES_WITHIN;
        loop {
            let wrong = self.look_until_settled(world, until).await;
            if !wrong.is_empty() {
                return wrong;
            }
            let version = world.api.version();
            sleep(STAYS_FOR).await;
            let written = world.api.written_since(version);
            if written.is_empty() {
                return owned(self.wrong_at_the_end(world));
            }
            // external-provisioner repeats what it once asked for, also for claims that are gone by now.
            if Instant::now() >= until {
                return vec![Broken {
                    invariant: "nothing is written when everything has settled".into(),
                    wrong: written,
                }];
            }
        }
    }

    /// What is wrong after everything had its time; nothing as soon as all is well.
    async fn look_until_settled(&self, world: &World, until: Instant) -> Vec<Broken> {
        loop {
            let always = self.wrong_now(world);
            let wrong = self.wrong_at_the_end(world);
            if !always.is_empty() || wrong.is_empty() || Instant::now() >= until {
                return owned(wrong);
            }
            sleep(LOOK_EVERY).await;
        }
    }
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
