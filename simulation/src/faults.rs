//! What goes wrong. One who adds a fault touches this file alone.

use std::time::Duration;

use placement::{Bytes, Extent};
use tokio::time::{Instant, sleep};

use crate::api_server::{ApiServer, Key, Kind, Network, NetworkState, Snapshot};
use crate::devices::DeviceFault;
use crate::dice::Dice;
use crate::programs::Process;
use crate::surroundings::text;
use crate::time::later;
use crate::world::{Node, World, add_node, register};

/// Something that goes wrong. Numbers choose among what there is at that moment; what lasts ends after a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A program is killed.
    Kill(usize),
    /// A program is killed by one of its next effects.
    KillAfter(usize, u64),
    /// A program does not run for a while.
    Absent(usize, Duration),
    /// The driver of a node does not run for a while.
    DriverDies(usize, Duration),
    /// A second copy of the operator runs beside the first.
    SecondOperator(Duration),
    /// A program does not reach the API server.
    Partition(usize, Duration),
    /// The watches of a program deliver nothing.
    Freeze(usize, Duration),
    /// What a program sees of one kind of objects, or of all (none), is old: at most so much for a while.
    Behind(usize, Option<Kind>, Duration, Duration),
    /// The extender is killed once kube-scheduler has written everything that it decided.
    KillExtenderInBetween,
    /// Requests and events take long.
    Slow(usize, Duration),
    /// Requests and answers get lost.
    Lossy(usize, Duration),
    /// All watches end.
    BreakWatches,
    /// All watches end, and cannot go on where they were.
    Compact,
    /// Somebody takes a snapshot of etcd.
    TakeSnapshot,
    /// Somebody restores the last snapshot of etcd, or takes the first one.
    Restore,
    /// The clock on the wall jumps.
    ClockJump(i64),
    /// A node loses its power.
    PowerCut(usize),
    /// A node is off for a while.
    NodeOff(usize, Duration),
    /// Somebody deletes a Node object; it comes back under its name.
    NodeDeleted(usize, Duration),
    /// Hardware or kernel misbehave.
    Device(usize, DeviceFault, Duration),
    /// Somebody makes a namespace that is not ours.
    ForeignCreated(usize),
    /// Somebody destroys a namespace that is not ours.
    ForeignDestroyed(usize),
    /// Bytes of a region go bad.
    Poison(usize, usize),
    /// A file system has zeros where it began.
    FirstBlockLost(usize, usize),
    /// A module fails: labels do not reach it, or now and then, some of its bytes are bad, and at last the node loses its power.
    ModuleFails(usize, usize, Duration),
    /// Somebody deletes a PmemNode again and again, while requests and answers of its driver get lost.
    ReportsDeleted(usize, Duration),
    /// A tool that prunes deletes the objects of volumes that are bound, while a driver is slow.
    Pruned(usize, Duration),
    /// The kubelet of a node loses the driver: the CSINode does not list it.
    Unregistered(usize, Duration),
    /// A region is not there.
    RegionHidden(usize, usize, Duration),
    /// What is in a region cannot be seen.
    RegionNotSeen(usize, usize, Duration),
    /// A region is disabled.
    RegionDisabled(usize, usize, Duration),
    /// Space that looks free is refused.
    SpaceHidden(usize, usize, Duration),
}

/// The kinds of which our programs may be behind.
pub const WATCHED: [Kind; 4] = [
    Kind::PersistentVolumeClaim,
    Kind::PersistentVolume,
    Kind::PmemNode,
    Kind::PmemVolume,
];

/// The last snapshot of etcd.
pub type LastSnapshot = std::sync::Mutex<Option<Snapshot>>;

impl Fault {
    /// Anything that goes wrong.
    pub fn any(rng: &mut fastrand::Rng) -> Self {
        let (which, other) = (rng.usize(..), rng.usize(..));
        let long = Duration::from_millis(rng.u64(100..90_000));
        match rng.u32(..120) {
            0..12 => Self::Kill(which),
            12..32 => Self::KillAfter(which, rng.u64(1..12)),
            32..36 if other % 3 == 0 => Self::DriverDies(which, long * 5),
            32..36 => Self::Absent(which, long),
            36..39 => Self::SecondOperator(long),
            39..44 => Self::Partition(which, long),
            44..47 => Self::Freeze(which, long),
            47..50 => {
                let lag = Duration::from_millis(rng.u64(100..40_000));
                Self::Behind(which, Some(WATCHED[other % WATCHED.len()]), lag, long)
            }
            50..54 if other % 4 == 0 => Self::Unregistered(which, long * 4),
            50..54 => Self::Slow(which, long),
            54..59 => Self::Lossy(which, long),
            59..60 => Self::ReportsDeleted(which, long),
            60..61 => Self::Pruned(which, long / 4),
            61..62 => Self::BreakWatches,
            62..65 => Self::Compact,
            65..67 => Self::TakeSnapshot,
            67..69 => Self::Restore,
            69..70 => Self::ClockJump(rng.i64(-100_000..100_000)),
            70..76 => Self::PowerCut(which),
            76..79 => Self::NodeOff(which, long),
            79..81 => Self::NodeDeleted(which, long),
            81..98 if other % 4 == 0 => Self::ModuleFails(which, other / 4, long),
            81..98 => Self::Device(which, DeviceFault::ALL[(other / 4) % DeviceFault::ALL.len()], long),
            98..103 => Self::ForeignCreated(which),
            103..106 => Self::ForeignDestroyed(which),
            106..108 if other % 3 == 0 => Self::FirstBlockLost(which, other / 3),
            106..108 => Self::Poison(which, other),
            108..111 => Self::RegionHidden(which, other, long),
            111..114 => Self::RegionNotSeen(which, other, long),
            114..116 => Self::RegionDisabled(which, other, long),
            _ => Self::SpaceHidden(which, other, long),
        }
    }

    /// The kind of fault, for the counts.
    #[must_use]
    pub fn kind(&self) -> String {
        let text = format!("{self:?}");
        let name = text.split(['(', ' ']).next().unwrap_or_default().to_owned();
        match self {
            Self::Device(_, fault, _) => format!("{name} {fault:?}"),
            _ => name,
        }
    }

    /// Lets it happen.
    pub fn happen(&self, world: &World, snapshot: &LastSnapshot) {
        match *self {
            Self::Kill(_) | Self::KillAfter(..) | Self::Absent(..) | Self::SecondOperator(_) => {
                self.happen_to_program(world);
            }
            Self::Partition(..) | Self::Freeze(..) | Self::Slow(..) | Self::Lossy(..) => self.happen_to_network(world),
            Self::Behind(which, kind, lag, long) => fall_behind(world, which, kind, lag, long),
            Self::KillExtenderInBetween => kill_extender_in_between(world),
            Self::BreakWatches => world.api.break_watches(),
            Self::Compact => world.api.compact(),
            Self::TakeSnapshot => set(snapshot, Some(world.api.snapshot())),
            Self::Restore => restore(world, snapshot),
            Self::ClockJump(seconds) => crate::time::jump(seconds),
            Self::ReportsDeleted(..) | Self::Pruned(..) => self.happen_to_objects(world),
            _ => self.happen_to_node(world),
        }
    }

    fn happen_to_program(&self, world: &World) {
        match *self {
            Self::Kill(which) => each_program(world, which, &|process| process.kill()),
            Self::KillAfter(which, effects) => each_program(world, which, &|process| process.kill_after(effects)),
            Self::Absent(which, long) => each_program(world, which, &|process| process.absent(long)),
            Self::SecondOperator(long) => {
                let second = world.second_operator();
                later(long, move || second.allow(false));
            }
            _ => {}
        }
    }

    fn happen_to_network(&self, world: &World) {
        let (Self::Partition(which, long)
        | Self::Freeze(which, long)
        | Self::Slow(which, long)
        | Self::Lossy(which, long)) = *self
        else {
            return;
        };
        let networks = world.networks();
        let network = networks[which % networks.len()].1.clone();
        let (fault, healthy) = (self.clone(), NetworkState::default());
        network.change(|state| match fault {
            Self::Partition(..) => state.is_partitioned = true,
            Self::Freeze(..) => state.is_frozen = true,
            Self::Slow(..) => {
                state.latency = Duration::from_secs(3);
                state.lag = Duration::from_secs(20);
            }
            _ => {
                state.requests_lost = 100;
                state.answers_lost = 100;
            }
        });
        later(long, move || network.change(|state| *state = healthy));
    }

    fn happen_to_objects(&self, world: &World) {
        match *self {
            Self::ReportsDeleted(which, long) => {
                let node = node(world, which);
                lose_requests(node.driver.network(), long);
                let report = Key::of(Kind::PmemNode, &node.name);
                again_and_again(&world.api, long, move |api| _ = api.delete(&report));
            }
            Self::Pruned(which, long) => {
                slow_down(node(world, which).driver.network(), long);
                again_and_again(&world.api, long, prune);
            }
            _ => {}
        }
    }

    fn happen_to_node(&self, world: &World) {
        match *self {
            Self::PowerCut(which) => {
                lose_power(&node(world, which), &world.api, &world.dice);
            }
            Self::NodeOff(which, long) => {
                let node = node(world, which);
                node.switch(&world.api, false);
                node.machine.reboot();
                switch_on_later(&world.api, &node, long);
            }
            Self::DriverDies(which, long) => node(world, which).driver.absent(long),
            Self::NodeDeleted(which, long) => {
                let (name, api) = (node(world, which).name, world.api.clone());
                let _ = api.delete(&Key::of(Kind::Node, &name));
                later(long, move || add_node(&api, &name));
            }
            Self::Unregistered(which, long) => {
                let (name, api) = (node(world, which).name, world.api.clone());
                register(&api, &name, false);
                later(long, move || register(&api, &name, true));
            }
            Self::Device(which, fault, long) => {
                let machine = node(world, which).machine;
                machine.set_fault(fault, true);
                later(long, move || machine.set_fault(fault, false));
            }
            Self::ModuleFails(which, other, long) => {
                let node = node(world, which);
                poison_pages(&node, other);
                let (api, dice) = (world.api.clone(), world.dice.clone());
                tokio::spawn(async move {
                    lose_labels(&node, other % 2 == 0, long).await;
                    lose_power(&node, &api, &dice);
                });
            }
            Self::ForeignCreated(which) => {
                let machine = node(world, which).machine;
                world.dice.with(|rng| machine.foreign_create(rng));
            }
            Self::ForeignDestroyed(which) => {
                let machine = node(world, which).machine;
                // Without one, somebody comes who has one for a moment.
                if world.dice.with(|rng| machine.foreign_destroy(rng)).is_none() {
                    machine.foreign_use(&mut fastrand::Rng::with_seed(u64::try_from(which).unwrap_or_default()));
                }
            }
            _ => self.happen_to_region(world),
        }
    }

    fn happen_to_region(&self, world: &World) {
        match *self {
            Self::Poison(which, other) => {
                let node = node(world, which);
                let start = Bytes::kib(4).times(i64::try_from(other % 8192).unwrap_or_default());
                node.machine
                    .poison(region(&node, other), Extent::new(start, Bytes::kib(4)));
            }
            Self::FirstBlockLost(which, other) => node(world, which).machine.lose_first_block(other),
            Self::RegionHidden(which, other, long) => {
                for_a_while(world, which, other, long, |node, region, on| {
                    node.machine.hide_region(region, on);
                });
            }
            Self::RegionNotSeen(which, other, long) => {
                for_a_while(world, which, other, long, |node, region, on| {
                    node.machine.not_seen(region, on);
                });
            }
            Self::RegionDisabled(which, other, long) => {
                for_a_while(world, which, other, long, |node, region, on| {
                    node.machine.disable(region, on);
                });
            }
            Self::SpaceHidden(which, other, long) => {
                let start = Bytes::mib(2).times(i64::try_from(other % 16).unwrap_or_default());
                let extent = Extent::new(start, Bytes::mib(4));
                for_a_while(world, which, other, long, move |node, region, on| {
                    if on {
                        node.machine.hide_space(region, extent);
                    } else {
                        node.machine.show_space(region);
                    }
                });
            }
            _ => {}
        }
    }
}

fn fall_behind(world: &World, which: usize, kind: Option<Kind>, lag: Duration, long: Duration) {
    let networks = world.networks();
    let network = networks[which % networks.len()].1.clone();
    match kind {
        Some(kind) => network.change(|state| state.lag_of_kind = Some((kind, lag))),
        None => network.change(|state| state.lag = lag),
    }
    later(long, move || {
        network.change(|state| match kind {
            Some(_) => state.lag_of_kind = None,
            None => state.lag = NetworkState::default().lag,
        });
    });
}

/// What it reserved for decisions that nobody can see yet would be lost with it.
fn kill_extender_in_between(world: &World) {
    let promises = world.promises.clone();
    let extenders: Vec<_> = world
        .schedulers
        .iter()
        .map(|scheduler| scheduler.extender.clone())
        .collect();
    tokio::spawn(async move {
        while !promises.are_written() {
            sleep(Duration::from_millis(10)).await;
        }
        for extender in extenders {
            extender.kill();
        }
    });
}

/// Calls `act` with a program as one that can be killed.
fn each_program(world: &World, which: usize, act: &dyn Fn(&dyn Killable)) {
    let mut all: Vec<&dyn Killable> = vec![&world.operator, &world.provisioner];
    for scheduler in &world.schedulers {
        all.push(&scheduler.extender);
        all.push(&scheduler.process);
    }
    for node in &world.nodes {
        all.push(&node.driver);
        all.push(&node.kubelet);
    }
    act(all[which % all.len()]);
}

/// A program that can be killed.
trait Killable {
    fn kill(&self);
    fn kill_after(&self, effects: u64);
    fn absent(&self, long: Duration);
}

impl<S: Clone + Send + Sync + 'static> Killable for Process<S> {
    fn kill(&self) {
        Self::kill(self);
    }
    fn kill_after(&self, effects: u64) {
        Self::kill_after(self, effects);
    }
    fn absent(&self, long: Duration) {
        self.allow(false);
        let process = self.clone();
        later(long, move || process.allow(true));
    }
}

fn node(world: &World, which: usize) -> Node {
    world.nodes[which % world.nodes.len()].clone()
}

fn region(node: &Node, which: usize) -> &str {
    &node.regions[which % node.regions.len()]
}

fn lose_requests(network: &Network, long: Duration) {
    network.change(|state| (state.requests_lost, state.answers_lost) = (100, 100));
    let network = network.clone();
    later(long, move || network.change(|state| *state = NetworkState::default()));
}

fn slow_down(network: &Network, long: Duration) {
    network.change(|state| state.latency = Duration::from_secs(3));
    let network = network.clone();
    later(long, move || network.change(|state| *state = NetworkState::default()));
}

fn again_and_again(api: &ApiServer, long: Duration, act: impl Fn(&ApiServer) + Send + 'static) {
    let (api, until) = (api.clone(), Instant::now() + long);
    tokio::spawn(async move {
        while Instant::now() < until {
            act(&api);
            sleep(Duration::from_millis(2_700)).await;
        }
    });
}

fn prune(api: &ApiServer) {
    for volume in api.list(Kind::PersistentVolume) {
        let handle = text(&volume, "/spec/csi/volumeHandle");
        let _ = api.delete(&Key::of(Kind::PmemVolume, handle));
    }
}

fn for_a_while(
    world: &World,
    which: usize,
    other: usize,
    long: Duration,
    set: impl Fn(&Node, &str, bool) + Send + 'static,
) {
    let node = node(world, which);
    let region = region(&node, other).to_owned();
    set(&node, &region, true);
    later(long, move || set(&node, &region, false));
}

/// All labels, or those of every other moment.
async fn lose_labels(node: &Node, all: bool, long: Duration) {
    let (until, mut are_lost) = (Instant::now() + long, true);
    while Instant::now() < until {
        node.machine.set_fault(DeviceFault::LabelsLost, are_lost);
        are_lost = all || !are_lost;
        sleep(Duration::from_millis(700)).await;
    }
    node.machine.set_fault(DeviceFault::LabelsLost, false);
}

/// Some pages in the first 32 MiB of each region are bad.
fn poison_pages(node: &Node, which: usize) {
    for region in &node.regions {
        for place in 0..3 {
            let page = i64::try_from((which >> (8 * place)) % 8192).unwrap_or_default();
            let bad = Extent::new(Bytes::kib(4).times(page), Bytes::kib(4));
            node.machine.poison_unknown(region, bad);
        }
    }
}

fn lose_power(node: &Node, api: &ApiServer, dice: &Dice) {
    node.switch(api, false);
    dice.with(|rng| node.machine.cut_power(rng));
    switch_on_later(api, node, Duration::from_secs(5));
}

fn switch_on_later(api: &ApiServer, node: &Node, long: Duration) {
    let (node, api) = (node.clone(), api.clone());
    later(long, move || node.switch(&api, true));
}

fn set(snapshot: &LastSnapshot, to: Option<Snapshot>) {
    *snapshot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = to;
}

fn restore(world: &World, snapshot: &LastSnapshot) {
    let last = snapshot
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    if let Some(last) = last {
        world.restore(last);
    } else {
        set(snapshot, Some(world.api.snapshot()));
    }
}
