//! Many lives of volumes on one machine, with every fault, until all faults end.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{Phase, VolumeMode};
use node_driver::devices::Stage;
use placement::{Bytes, Extent};
use rstest::rstest;

use super::node::{Node, as_filesystem, region, staging, target};
use crate::devices::{DeviceFault, Fuse, Machine};

const REGIONS: [&str; 2] = ["r0", "r1"];

/// What the world wants and knows of a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// What a pod wrote last and was told that it is there.
    token: Option<u64>,
    is_published: bool,
    is_deleted: bool,
}

struct Story {
    node: Node,
    rng: fastrand::Rng,
    wanted: BTreeMap<String, Wanted>,
    faults: Vec<DeviceFault>,
    bad_blocks: bool,
}

impl Story {
    fn new(seed: u64, faults: &[DeviceFault]) -> Self {
        let bad_blocks = seed % 2 == 1;
        Self {
            node: Node {
                machine: Machine::new("node-1", &[region(REGIONS[0], 64, 2), region(REGIONS[1], 64, 16)]),
                record: Arc::default(),
            },
            rng: fastrand::Rng::with_seed(seed),
            wanted: BTreeMap::new(),
            faults: faults.to_vec(),
            bad_blocks,
        }
    }

    fn run(&mut self) -> Fuse {
        let fuse = Fuse::new();
        if self.rng.bool() {
            fuse.blow_after(self.rng.u64(0..40));
        }
        fuse
    }

    fn some(&mut self, is_fit: impl Fn(&Wanted) -> bool) -> Option<String> {
        let fit: Vec<&String> = self
            .wanted
            .iter()
            .filter(|(_, it)| is_fit(it))
            .map(|(name, _)| name)
            .collect();
        self.rng.choice(&fit).map(ToString::to_string)
    }

    async fn step(&mut self) {
        match self.rng.u8(0..12) {
            0 | 1 => self.add().await,
            2 | 3 => self.publish().await,
            4 => self.unpublish().await,
            5 => self.delete(),
            6 | 7 => self.work().await,
            8 if self.rng.bool() => self.region(),
            8 => self.fault(),
            9 if self.rng.bool() => self.power(),
            9 => _ = self.node.machine.foreign_create(&mut self.rng),
            10 => _ = self.node.machine.foreign_destroy(&mut self.rng),
            _ => self.write(),
        }
    }

    async fn add(&mut self) {
        let truth = self.node.machine.truth();
        let record = &self.node.record;
        // What is in a region that is away nobody can know, and an id is not to come again before it is back.
        let all_listed = truth.regions.iter().all(|region| region.is_listed);
        let is_gone = |name: &str| {
            let mut left = truth.of_volume(name).filter(|(_, stage)| *stage != Stage::Quarantined);
            left.next().is_none() && all_listed
        };
        self.wanted
            .retain(|name, it| !it.is_deleted || record.get(name).is_some() || !is_gone(name));
        if self.wanted.len() > 4 {
            return;
        }
        let Some(name) = (0..6)
            .map(|id| format!("v{id}"))
            .find(|name| !self.wanted.contains_key(name))
        else {
            return;
        };
        let mode = if self.rng.bool() {
            VolumeMode::Fsdax
        } else {
            VolumeMode::Sector
        };
        self.node.add(&name, self.rng.u32(2..16), mode);
        self.wanted.insert(name, Wanted::default());
        self.work().await;
    }

    /// All that the driver does for the cluster.
    async fn work(&mut self) {
        let fuse = self.run();
        self.work_on(&fuse).await;
    }

    async fn work_on(&mut self, fuse: &Fuse) {
        let worker = self.node.worker(fuse);
        for name in self.wanted.keys() {
            if let Some(volume) = self.node.record.get(name) {
                let _result = worker.reconcile(volume).await;
            }
            let _result = worker.clear(name).await;
        }
    }

    async fn publish(&mut self) {
        let Some(name) = self.some(|it| !it.is_published && !it.is_deleted) else {
            return;
        };
        let fuse = self.run();
        let kubelet = self.node.kubelet(&fuse, as_filesystem());
        if kubelet.stage(&name).await.is_ok() && kubelet.publish(&name, false).await.is_ok() {
            let now = self.node.machine.read(&target(&name)).unwrap();
            assert_eq!(now, self.wanted[&name].token, "{name}");
            self.wanted.get_mut(&name).unwrap().is_published = true;
        }
    }

    async fn unpublish(&mut self) {
        let Some(name) = self.some(|it| it.is_published) else {
            return;
        };
        let fuse = self.run();
        let kubelet = self.node.kubelet(&fuse, as_filesystem());
        if kubelet.unpublish(&name).await.is_ok() && kubelet.unstage(&name).await.is_ok() {
            self.wanted.get_mut(&name).unwrap().is_published = false;
        }
    }

    fn write(&mut self) {
        let token = self.rng.u64(1..);
        let Some(name) = self.some(|it| it.is_published) else {
            return;
        };
        if self.node.machine.write(&target(&name), token).is_ok() {
            self.wanted.get_mut(&name).unwrap().token = Some(token);
        }
    }

    fn delete(&mut self) {
        // Killed in between, a stage or an unstage may have left a mount.
        let mounts = self.node.machine.truth().mounts;
        let is_mounted = |name: &str| mounts.iter().any(|mount| mount.volume.as_deref() == Some(name));
        let Some(name) = self.some(|it| !it.is_published && !it.is_deleted) else {
            return;
        };
        if !is_mounted(&name) {
            self.node.delete(&name);
            self.wanted.get_mut(&name).unwrap().is_deleted = true;
        }
    }

    fn fault(&mut self) {
        let faults = self.faults.clone();
        if let Some(fault) = self.rng.choice(&faults) {
            self.node.machine.set_fault(*fault, self.rng.u8(0..3) == 0);
        }
    }

    fn region(&mut self) {
        let on = self.rng.bool();
        let position = self.rng.usize(0..REGIONS.len());
        let region = REGIONS[position];
        let machine = &self.node.machine;
        let page = Extent::new(Bytes::kib(4).times(self.rng.i64(0..64 * 256)), Bytes::kib(4));
        match self.rng.u8(0..6) {
            0 => machine.hide_region(region, on),
            1 => machine.not_seen(region, on),
            2 => machine.disable(region, on),
            3 if on => machine.hide_space(region, page),
            3 => machine.show_space(region),
            4 if self.bad_blocks && self.is_free(position, page) => machine.poison(region, page),
            5 if self.bad_blocks && self.is_free(position, page) => machine.poison_unknown(region, page),
            _ => {}
        }
    }

    /// Bytes that go bad under a volume are the business of its file system.
    fn is_free(&self, region: usize, page: Extent) -> bool {
        let truth = self.node.machine.truth();
        truth.regions[region].free.iter().any(|free| free.overlaps(page))
    }

    fn power(&mut self) {
        if self.rng.bool() {
            self.node.machine.cut_power(&mut self.rng);
        } else {
            self.node.machine.reboot();
        }
        for it in self.wanted.values_mut() {
            it.is_published = false;
        }
    }

    /// Whatever goes wrong: nothing is lost, and nothing happens that must never happen.
    fn check(&mut self) {
        self.node.is_fine();
        let truth = self.node.machine.truth();
        for (name, it) in &self.wanted {
            if let (Some(token), false) = (it.token, it.is_deleted) {
                let found: Vec<_> = truth
                    .of_volume(name)
                    .filter(|(_, stage)| *stage != Stage::Quarantined)
                    .collect();
                assert_eq!(found.len(), 1, "{name}: {found:?}");
                assert_eq!(found[0].1, Stage::InUse);
                assert_eq!(found[0].0.tokens, [token].into(), "{name}");
            }
        }
    }

    async fn end(&mut self) {
        for fault in DeviceFault::ALL {
            self.node.machine.set_fault(fault, false);
        }
        for region in REGIONS {
            self.node.machine.hide_region(region, false);
            self.node.machine.not_seen(region, false);
            self.node.machine.show_space(region);
        }
        self.node.machine.reboot();
        let fuse = Fuse::new();
        for _ in 0..3 {
            self.work_on(&fuse).await;
        }
        for (name, it) in self.wanted.clone() {
            let truth = self.node.machine.truth();
            if it.is_deleted {
                assert!(self.node.record.get(&name).is_none(), "{name} is not released");
                let is_left = |stage| stage != Stage::Quarantined;
                let left: Vec<_> = truth.of_volume(&name).filter(|(_, stage)| is_left(*stage)).collect();
                assert!(left.is_empty(), "leaked: {left:?}");
                continue;
            }
            let status = self.node.record.get(&name).unwrap().status.unwrap_or_default();
            if status.phase == Some(Phase::Refused) {
                assert_eq!(it.token, None);
                continue;
            }
            assert_eq!(status.phase, Some(Phase::Ready), "{name}: {status:?}");
            let kubelet = self.node.kubelet(&fuse, as_filesystem());
            kubelet.stage(&name).await.unwrap();
            assert_eq!(self.node.machine.read(&staging(&name)).unwrap(), it.token, "{name}");
        }
        self.node.is_fine();
    }
}

#[rstest]
#[case::no_faults(Vec::new())]
#[case::all_faults(DeviceFault::ALL.to_vec())]
#[tokio::test]
async fn nothing_is_lost_and_nothing_leaked(#[case] faults: Vec<DeviceFault>) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let first = number("SEED").unwrap_or(0);
    for seed in first..first + number("STORIES").unwrap_or(40) {
        println!("seed {seed}");
        let mut story = Story::new(seed, &faults);
        for _ in 0..150 {
            story.step().await;
            story.check();
        }
        story.end().await;
    }
}
