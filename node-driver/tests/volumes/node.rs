//! A node in memory, and what the cluster wants of it. A driver of it can be killed after so many effects.

use std::path::Path;
use std::sync::Arc;

use crds::{DELETE_VOLUME, FINALIZER, PmemVolume, PmemVolumeStatus, VolumeMode};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use placement::{Bytes, Extent};
use simulation::devices::{Fuse, Machine, RegionSpec, TrueNamespace};
use tokio_util::sync::CancellationToken;

use node_driver::devices::{Namespace, Owner, Stage, mark_name};
use node_driver::layout::{Layout, Revision};
use node_driver::volumes::{InMemoryRecord, Record, RecordError, Worker};

pub const NODE_NAME: &str = "node-1";
pub const REGION: &str = "r0";
pub const REGION_SIZE: Bytes = Bytes::mib(64);
/// What a volume is filled with.
pub const TOKEN: u64 = 7;

/// What survives a crash: the machine, and what the cluster holds.
#[derive(Clone)]
pub struct Node {
    pub machine: Machine,
    pub record: Arc<InMemoryRecord>,
}

/// What one run of the driver has of the cluster: it is killed after so many effects.
#[derive(Clone)]
pub struct Run {
    record: Arc<InMemoryRecord>,
    fuse: Fuse,
}

impl Node {
    pub fn new() -> Self {
        Self::with_regions(&[REGION])
    }

    pub fn with_regions(ids: &[&str]) -> Self {
        let region = |id: &&str| RegionSpec {
            id: (*id).into(),
            numa: Some(0),
            size: REGION_SIZE,
            alignment: Bytes::mib(2),
        };
        let regions: Vec<RegionSpec> = ids.iter().map(region).collect();
        Self {
            machine: Machine::new(NODE_NAME, &regions),
            record: Arc::default(),
        }
    }

    /// A driver that is killed with an effect of that number; at once with zero.
    pub fn driver_killed_after(&self, effects: u64) -> Worker<Run> {
        let fuse = Fuse::new();
        fuse.blow_after(effects);
        self.run(fuse)
    }

    pub fn driver(&self) -> Worker<Run> {
        self.run(Fuse::new())
    }

    fn run(&self, fuse: Fuse) -> Worker<Run> {
        let devices = self.machine.devices(&fuse);
        // As a driver does at its start; one that was killed before that does nothing.
        let _started = devices.bring_up();
        let layout = Layout::new(devices, Revision::default());
        let record = Arc::clone(&self.record);
        Worker::new(Arc::new(layout), Run { record, fuse }, CancellationToken::new())
    }

    /// Makes a volume of so many usable MiB, as the operator does.
    pub fn add_volume(&self, name: &str, mib: u32, mode: VolumeMode) -> PmemVolume {
        let spec = serde_json::json!({ "node": NODE_NAME, "required": Bytes::mib(mib), "mode": mode });
        let mut volume = PmemVolume::new(name, serde_json::from_value(spec).unwrap());
        volume.metadata.uid = Some(format!("uid-{name}"));
        volume.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        self.record.put(volume.clone());
        volume
    }

    pub fn volume(&self, name: &str) -> PmemVolume {
        self.record.get(name).unwrap()
    }

    pub fn status(&self, name: &str) -> PmemVolumeStatus {
        self.volume(name).status.unwrap_or_default()
    }

    /// Deletes it as DeleteVolume does.
    pub fn delete(&self, name: &str) {
        let mut volume = self.volume(name);
        let annotations = volume.metadata.annotations.get_or_insert_default();
        annotations.insert(DELETE_VOLUME.into(), "true".into());
        volume.metadata.finalizers = Some(vec![FINALIZER.into()]);
        volume.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        self.record.put(volume);
    }

    /// The namespaces of a volume. One in quarantine is none.
    pub fn namespaces(&self, volume: &str) -> Vec<Namespace> {
        self.marked(volume, |stage| stage != Stage::Quarantined)
    }

    /// What stays out of use since it was the volume's.
    pub fn quarantined(&self, volume: &str) -> Vec<Namespace> {
        self.marked(volume, |stage| stage == Stage::Quarantined)
    }

    fn marked(&self, volume: &str, is_in: impl Fn(Stage) -> bool) -> Vec<Namespace> {
        let truth = self.machine.truth();
        let found = truth.of_volume(volume).filter(|(_, stage)| is_in(*stage));
        found.map(|(found, _)| found.namespace.clone()).collect()
    }

    /// Whatever is on the devices, shown or not.
    pub fn all(&self) -> Vec<TrueNamespace> {
        self.machine.truth().namespaces
    }

    /// How far the one namespace of a volume has come.
    pub fn stage(&self, volume: &str) -> Stage {
        let truth = self.machine.truth();
        let stages = truth.of_volume(volume).map(|(_, stage)| stage);
        let stages: Vec<Stage> = stages.filter(|stage| *stage != Stage::Quarantined).collect();
        assert_eq!(stages.len(), 1, "{stages:?}");
        stages[0]
    }

    /// Marks the namespace of a volume, whether it may become that or not.
    pub fn set_stage(&self, volume: &str, stage: Stage) {
        let found = self.namespaces(volume).remove(0);
        let name = mark_name(volume, found.uuid.unwrap(), stage).unwrap();
        self.machine.rename_by_hand(&found.device, &name);
    }

    /// Namespaces of that name without a mark.
    pub fn foreign(&self, name: &str) -> usize {
        let is_it = |found: &&TrueNamespace| found.namespace.name == name && found.owner() == Owner::Foreign;
        self.all().iter().filter(is_it).count()
    }

    /// All namespaces vanish.
    pub fn destroy_all(&self) {
        while let Some(found) = self.all().first() {
            self.machine.destroy_by_hand(&found.namespace.device);
        }
    }

    /// The namespace of that name, or with the mark of that volume, is filled.
    pub fn fill(&self, volume: &str) {
        self.machine.fill_by_hand(&self.of(volume).namespace.device, TOKEN);
    }

    /// Its block device is bound to a path, as that of a pod.
    pub fn bind(&self, volume: &str) {
        let filesystems = self.machine.filesystems(&Fuse::new());
        let device = self.of(volume).namespace.block.unwrap();
        let target = Path::new("/target");
        filesystems.make_file(target).unwrap();
        filesystems.bind(&device, target, false).unwrap();
    }

    pub fn unbind(&self) {
        let filesystems = self.machine.filesystems(&Fuse::new());
        filesystems.unmount(Path::new("/target")).unwrap();
    }

    /// The namespace with the mark of a volume, else the one with its name.
    fn of(&self, volume: &str) -> TrueNamespace {
        let all = self.all();
        let is_its = |found: &&TrueNamespace| match found.owner() {
            Owner::Ours(mark) => mark.volume == volume,
            Owner::Newer { volume: other } => other == volume,
            Owner::Foreign => false,
        };
        let named = || all.iter().find(|found| found.namespace.name == volume);
        all.iter().find(is_its).or_else(named).unwrap().clone()
    }

    pub fn is_zero(&self, extent: Extent) -> bool {
        self.machine.is_zero(REGION, extent)
    }

    /// Whether every byte that a volume in an extent has is as it was filled.
    pub fn is_filled(&self, extent: Extent) -> bool {
        self.machine.has_token(REGION, extent, TOKEN)
    }

    /// Nothing happened that must never happen: somebody else's bytes touched or shown, a second namespace, and the like.
    pub fn is_fine(&self) {
        assert_eq!(self.machine.violations(), Vec::<String>::new());
    }

    pub fn reason(&self, name: &str) -> String {
        let mut conditions = self.status(name).conditions.into_iter();
        conditions
            .find(|condition| condition.status == "False")
            .map(|condition| condition.reason)
            .unwrap_or_default()
    }
}

impl Run {
    fn failed(name: &str) -> RecordError {
        RecordError {
            name: name.into(),
            source: Box::new(kube::Error::LinesCodecMaxLineLengthExceeded),
        }
    }

    /// As the API server says of an object that is gone, or has been replaced by another of the name.
    fn gone(name: &str) -> RecordError {
        let status = kube::core::Status::failure("not found", "NotFound").with_code(404);
        RecordError {
            name: name.into(),
            source: Box::new(kube::Error::Api(status.boxed())),
        }
    }

    /// What was written is there, but a run that is killed with it does not learn of it.
    fn learn<T>(&self, name: &str, done: T) -> Result<T, RecordError> {
        self.fuse.effect(|| done).map_err(|_| Self::failed(name))
    }
}

impl Record for Run {
    fn all(&self) -> Vec<Arc<PmemVolume>> {
        let all = self.record.all().into_iter();
        all.filter(|volume| volume.spec.node == NODE_NAME).collect()
    }

    async fn write_status(&self, volume: &PmemVolume, status: PmemVolumeStatus) -> Result<PmemVolume, RecordError> {
        let name = volume.metadata.name.clone().unwrap();
        self.fuse.check().map_err(|_| Self::failed(&name))?;
        let now = self.record.get(&name);
        if now.is_none_or(|now| now.metadata.uid != volume.metadata.uid) {
            return Err(Self::gone(&name));
        }
        let written = self.record.write_status(volume, status).await?;
        self.learn(&name, written)
    }

    fn node(&self) -> &'static str {
        NODE_NAME
    }

    async fn read(&self, name: &str) -> Result<Option<PmemVolume>, RecordError> {
        self.fuse.check().map_err(|_| Self::failed(name))?;
        Ok(self.record.get(name))
    }

    async fn remove_finalizer(&self, volume: &PmemVolume) -> Result<(), RecordError> {
        let name = volume.metadata.name.clone().unwrap();
        self.fuse.check().map_err(|_| Self::failed(&name))?;
        self.record.remove_finalizer(volume).await?;
        self.learn(&name, ())
    }
}
