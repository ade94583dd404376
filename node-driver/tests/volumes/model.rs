//! A node in memory: devices with every byte, and a cluster. A driver of it can be killed after so many effects.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crds::{
    BusProvider, DELETE_VOLUME, FINALIZER, PersistenceDomain, PmemVolume, PmemVolumeStatus, RegionState, VolumeMode,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::Status;
use placement::{Alignment, Bytes, Extent, MapLocation, Mode, NumaNode, Region, RegionId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use node_driver::devices::{
    self, DeviceError, Devices, EarlierVolume, Inventory, Namespace, NamespaceMode, NewNamespace, Owner, RawBytes,
    Stage, VolumeDevice, mark_name, uuid_of,
};
use node_driver::layout::{Layout, Revision};
use node_driver::volumes::{InMemoryRecord, Record, RecordError, Worker};

pub const NODE_NAME: &str = "node-1";
pub const REGION_SIZE: Bytes = Bytes::mib(64);
/// What earlier tenants left behind.
pub const OLD: u8 = 0xAA;

/// What survives a crash: the devices, and what the cluster holds.
#[derive(Clone)]
pub struct Node {
    pub disk: Arc<Mutex<Disk>>,
    pub record: Arc<InMemoryRecord>,
}

pub struct Disk {
    pub inventory: Inventory,
    pub bytes: Vec<u8>,
    /// Names of namespaces to which no zeros are written while they are in here.
    pub paused: Vec<String>,
    /// Bytes that take no zeros, whether or not the kernel lists them.
    pub bad: Vec<Extent>,
    pub mounted: Vec<String>,
    /// Whether the modules lose every label that is written.
    pub labels_are_lost: bool,
}

/// One run of the driver: it is killed after so many effects.
#[derive(Clone)]
pub struct Run {
    pub node: Node,
    effects: Arc<AtomicI64>,
}

impl Node {
    pub fn new() -> Self {
        let region = devices::Region {
            id: RegionId("r0".into()),
            device: "region0".into(),
            bus: BusProvider::Nfit,
            numa: Some(NumaNode(0)),
            size: REGION_SIZE,
            alignment: Alignment::try_from(Bytes::mib(2)).unwrap(),
            ways: 1,
            persistence_domain: PersistenceDomain::MemoryController,
            state: RegionState::Ready,
            message: String::new(),
            bad: Vec::new(),
        };
        let disk = Disk {
            inventory: Inventory {
                regions: vec![region],
                namespaces: Vec::new(),
            },
            bytes: vec![OLD; usize::try_from(REGION_SIZE.get()).unwrap()],
            paused: Vec::new(),
            bad: Vec::new(),
            mounted: Vec::new(),
            labels_are_lost: false,
        };
        Self {
            disk: Arc::new(Mutex::new(disk)),
            record: Arc::default(),
        }
    }

    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// A driver that is killed after so many effects.
    pub fn driver_killed_after(&self, effects: i64) -> Worker<Run> {
        let run = Run {
            node: self.clone(),
            effects: Arc::new(AtomicI64::new(effects)),
        };
        let layout = Layout::new(Arc::new(run.clone()), Revision::default());
        Worker::new(Arc::new(layout), run, CancellationToken::new())
    }

    pub fn driver(&self) -> Worker<Run> {
        self.driver_killed_after(i64::MAX)
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
        volume.metadata.annotations = Some([(DELETE_VOLUME.into(), "true".into())].into());
        volume.metadata.finalizers = Some(vec![FINALIZER.into()]);
        volume.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        self.record.put(volume);
    }

    /// A namespace that somebody else made, full of [`OLD`] bytes.
    pub fn put_namespace(&self, name: &str, start: u32, size: u32, mode: NamespaceMode) {
        let extent = Extent::new(Bytes::mib(start), Bytes::mib(size));
        let dev = Mode::Fsdax(MapLocation::Dev);
        let usable = (mode != NamespaceMode::Raw).then(|| dev.usable(extent.size));
        self.disk().inventory.namespaces.push(Namespace {
            name: name.into(),
            uuid: Some(Uuid::from_u128(start.into())),
            is_recorded: true,
            device: format!("namespace0.{start}"),
            region: RegionId("r0".into()),
            extent,
            mode,
            block: None,
            usable,
        });
    }

    /// The namespaces of a volume. One in quarantine is none.
    pub fn namespaces(&self, volume: &str) -> Vec<Namespace> {
        let is_its = |stage| stage != Stage::Quarantined;
        self.marked(volume, is_its)
    }

    /// What stays out of use since it was the volume's.
    pub fn quarantined(&self, volume: &str) -> Vec<Namespace> {
        self.marked(volume, |stage| stage == Stage::Quarantined)
    }

    fn marked(&self, volume: &str, is_in: impl Fn(Stage) -> bool) -> Vec<Namespace> {
        let disk = self.disk();
        let all = disk.inventory.namespaces.iter();
        all.filter(|found| marked(found, volume).is_some_and(&is_in))
            .cloned()
            .collect()
    }

    /// How far the one namespace of a volume has come.
    pub fn stage(&self, volume: &str) -> Stage {
        let found = self.namespaces(volume);
        assert_eq!(found.len(), 1, "{found:?}");
        marked(&found[0], volume).unwrap()
    }

    /// Marks the namespace of a volume.
    pub fn set_stage(&self, volume: &str, stage: Stage) {
        self.disk().only(volume).unwrap().set_mark(volume, stage);
    }

    /// Somebody else's namespaces of that name.
    pub fn foreign(&self, name: &str) -> usize {
        self.disk().inventory.unmarked(name).count()
    }

    /// Whether every byte of an extent has that value.
    pub fn is_all(&self, extent: Extent, value: u8) -> bool {
        // Whole slices compare fast, also in a debug build.
        let pattern = vec![value; 1 << 20];
        let mut disk = self.disk();
        disk.slice(extent)
            .chunks(pattern.len())
            .all(|chunk| chunk == &pattern[..chunk.len()])
    }

    pub fn fill(&self, extent: Extent, value: u8) {
        self.disk().slice(extent).fill(value);
    }

    pub fn reason(&self, name: &str) -> String {
        let mut conditions = self.status(name).conditions.into_iter();
        conditions
            .find(|condition| condition.status == "False")
            .map(|condition| condition.reason)
            .unwrap_or_default()
    }
}

/// How far a namespace has come as that of `volume`.
fn marked(namespace: &Namespace, volume: &str) -> Option<Stage> {
    match namespace.owner() {
        Owner::Ours(mark) if mark.volume == volume => Some(mark.stage),
        _ => None,
    }
}

trait SetMark {
    fn set_mark(&mut self, volume: &str, stage: Stage);
}

impl SetMark for Namespace {
    fn set_mark(&mut self, volume: &str, stage: Stage) {
        self.name = mark_name(volume, self.uuid.unwrap(), stage).unwrap();
    }
}

impl Disk {
    fn slice(&mut self, extent: Extent) -> &mut [u8] {
        let at = |bytes: Bytes| usize::try_from(bytes.get()).unwrap();
        &mut self.bytes[at(extent.start)..at(extent.end())]
    }

    fn only(&mut self, name: &str) -> Result<&mut Namespace, DeviceError> {
        if self.mounted.iter().any(|mounted| mounted == name) {
            return Err(DeviceError::InUse {
                name: name.into(),
                device: "/dev/pmem0".into(),
                by: "mounted at /mnt".into(),
            });
        }
        let mut all = self.inventory.namespaces.iter_mut();
        let found = all.find(|found| marked(found, name).is_some_and(|stage| stage != Stage::Quarantined));
        found.ok_or_else(|| DeviceError::NotFound { name: name.into() })
    }
}

impl Run {
    /// Whether it still runs; each effect costs one.
    fn is_alive(&self) -> bool {
        self.effects.fetch_sub(1, Ordering::SeqCst) > 0
    }

    /// An effect happens while it is alive; it may be killed before it learns of its success.
    fn effect<T>(&self, change: impl FnOnce(&mut Disk) -> Result<T, DeviceError>) -> Result<T, DeviceError> {
        let killed = || DeviceError::Listing("killed".into());
        if !self.is_alive() {
            return Err(killed());
        }
        let done = change(&mut self.node.disk())?;
        if self.is_alive() { Ok(done) } else { Err(killed()) }
    }

    fn recorded<T>(&self, name: &str) -> impl Fn(Result<T, RecordError>) -> Result<T, RecordError> {
        let run = self.clone();
        let name = name.to_owned();
        move |done| if run.is_alive() { done } else { Err(killed(&name)) }
    }
}

fn killed(name: &str) -> RecordError {
    RecordError {
        name: name.into(),
        source: Box::new(kube::Error::LinesCodecMaxLineLengthExceeded),
    }
}

fn gone(name: &str) -> RecordError {
    RecordError {
        name: name.into(),
        source: Box::new(kube::Error::Api(
            Status::failure("not found", "NotFound").with_code(404).boxed(),
        )),
    }
}

impl Record for Run {
    fn all(&self) -> Vec<Arc<PmemVolume>> {
        self.node.record.all()
    }

    async fn write_status(&self, volume: &PmemVolume, status: PmemVolumeStatus) -> Result<PmemVolume, RecordError> {
        let name = volume.metadata.name.clone().unwrap();
        if !self.is_alive() {
            return Err(killed(&name));
        }
        let now = self.node.record.get(&name);
        if now.is_none_or(|now| now.metadata.uid != volume.metadata.uid) {
            // As the API server does for an object that is gone, or another of the name.
            return Err(gone(&name));
        }
        self.recorded(&name)(self.node.record.write_status(volume, status).await)
    }

    async fn remove_finalizer(&self, volume: &PmemVolume) -> Result<(), RecordError> {
        let name = volume.metadata.name.clone().unwrap();
        if !self.is_alive() {
            return Err(killed(&name));
        }
        self.recorded(&name)(self.node.record.remove_finalizer(volume).await)
    }
}

impl Devices for Run {
    fn backend(&self) -> &'static str {
        "model"
    }

    fn inventory(&self) -> Result<Inventory, DeviceError> {
        Ok(self.node.disk().inventory.clone())
    }

    fn find_volume(&self, _: &str) -> Result<Option<VolumeDevice>, DeviceError> {
        Ok(None)
    }

    fn quarantine(&self, _: &RegionId) -> Result<(), DeviceError> {
        Err(DeviceError::Listing(
            "the bad blocks of this model are not listed".into(),
        ))
    }

    fn create(&self, new: &NewNamespace) -> Result<(), DeviceError> {
        self.effect(|disk| {
            let is_used = |uuid| disk.inventory.namespaces.iter().any(|found| found.uuid == Some(uuid));
            let mut uuids = (0..16).map(|generation| uuid_of(&new.volume, generation));
            let uuid = uuids.find(|uuid| !is_used(*uuid)).unwrap();
            let found = disk.inventory.region(&new.region).unwrap().clone();
            let region = Region {
                id: found.id.clone(),
                numa: found.numa,
                alignment: found.alignment,
                free: disk.inventory.free(&found),
            };
            let hole = region.hole_for(new.footprint).ok_or_else(|| DeviceError::NoSpace {
                region: new.region.clone(),
                footprint: new.footprint,
            })?;
            disk.inventory.namespaces.push(Namespace {
                name: mark_name(&new.volume, uuid, Stage::Making).unwrap(),
                uuid: Some(uuid),
                is_recorded: !disk.labels_are_lost,
                device: format!("namespace0.{}", disk.inventory.namespaces.len()),
                region: found.id,
                extent: Extent::new(region.free[hole].start, new.footprint),
                mode: NamespaceMode::Raw,
                block: None,
                usable: None,
            });
            Ok(())
        })
    }

    fn mark(&self, volume: &str, stage: Stage) -> Result<(), DeviceError> {
        self.effect(|disk| {
            let is_lost = disk.labels_are_lost;
            let found = disk.only(volume)?;
            assert!(marked(found, volume).unwrap().may_become(stage));
            found.set_mark(volume, stage);
            found.is_recorded = !is_lost;
            if is_lost {
                let device = found.device.clone();
                return Err(DeviceError::NotRecorded { device });
            }
            Ok(())
        })
    }

    fn mark_earlier(&self, earlier: &EarlierVolume, stage: Stage) -> Result<(), DeviceError> {
        self.effect(|disk| {
            let name = || earlier.volume.clone();
            if disk.mounted.contains(&earlier.volume) {
                let device = "/dev/pmem0".into();
                return Err(DeviceError::InUse {
                    name: name(),
                    device,
                    by: "mounted at /mnt".into(),
                });
            }
            let mut all = disk.inventory.namespaces.iter_mut();
            let found = all.find(|found| found.name == earlier.volume && found.extent == earlier.extent);
            let found = found.ok_or_else(|| DeviceError::NotFound { name: name() })?;
            found.set_mark(&earlier.volume, stage);
            Ok(())
        })
    }

    fn open_raw(&self, name: &str) -> Result<Box<dyn RawBytes>, DeviceError> {
        let extent = self.effect(|disk| {
            let found = disk.only(name)?;
            assert!(marked(found, name).unwrap().is_expendable(), "{found:?} is zeroed");
            found.mode = NamespaceMode::Raw;
            found.usable = None;
            Ok(found.extent)
        })?;
        Ok(Box::new(ModelBytes {
            run: self.clone(),
            name: name.into(),
            extent,
        }))
    }

    fn configure(&self, name: &str, mode: Mode) -> Result<(), DeviceError> {
        self.effect(|disk| {
            let found = disk.only(name)?;
            assert_eq!(marked(found, name), Some(Stage::Making));
            found.mode = match mode {
                Mode::Fsdax(_) => NamespaceMode::Fsdax,
                Mode::Sector => NamespaceMode::Sector,
            };
            found.usable = Some(mode.usable(found.extent.size));
            Ok(())
        })
    }

    fn destroy(&self, name: &str) -> Result<(), DeviceError> {
        self.effect(|disk| {
            let gone = disk.only(name)?.clone();
            assert!(marked(&gone, name).unwrap().is_expendable(), "{gone:?} is destroyed");
            disk.inventory.namespaces.retain(|found| *found != gone);
            Ok(())
        })
    }
}

struct ModelBytes {
    run: Run,
    name: String,
    extent: Extent,
}

impl ModelBytes {
    fn part(&self, offset: Bytes, length: usize) -> Extent {
        Extent::new(self.extent.start.plus(offset), Bytes::try_from(length as u64).unwrap())
    }
}

impl RawBytes for ModelBytes {
    fn size(&self) -> Bytes {
        self.extent.size
    }

    fn read(&self, offset: Bytes, buffer: &mut [u8]) -> io::Result<()> {
        let part = self.part(offset, buffer.len());
        buffer.copy_from_slice(self.run.node.disk().slice(part));
        Ok(())
    }

    fn write_zeros(&self, offset: Bytes, zeros: &[u8]) -> io::Result<()> {
        while self.run.node.disk().paused.contains(&self.name) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let part = self.part(offset, zeros.len());
        if self.run.node.disk().bad.iter().any(|bad| bad.overlaps(part)) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let write = |disk: &mut Disk| {
            disk.slice(part).copy_from_slice(zeros);
            Ok(())
        };
        self.run.effect(write).map_err(io::Error::other)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
