//! How long `NodeStageVolume` takes on the persistent memory of this machine: with nothing beside it, beside volumes that wait for
//! an older one, and beside an erasure. By turns, so that a machine that becomes slower meanwhile favours none of them.
//!
//! It is for `cargo figures node`, on a machine that nobody else uses: it makes volumes and erases them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use clap::Parser;
use crds::{PmemVolume, PmemVolumeStatus};
use csi::v1::node_server::Node;
use csi::v1::volume_capability::{AccessMode, AccessType, MountVolume, access_mode};
use csi::v1::{NodeStageVolumeRequest, NodeUnstageVolumeRequest, VolumeCapability};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use node_driver::csi::NodeService;
use node_driver::devices::{BackendArgs, Devices, RawBytes, Stage};
use node_driver::filesystem::Kernel;
use node_driver::known_zero::KnownZeros;
use node_driver::layout::{Layout, Revision};
use node_driver::volumes::{EarlierVolumes, InMemoryRecord, WorkResult, Worker};
use placement::Bytes;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Request;

/// The volume that is staged and unstaged.
const STAGED: &str = "staged";
/// The one whose bytes are erased, over and over.
const ERASED: &str = "erased";
/// After how long the driver asks again for one that waits.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// What an erasure writes at once.
const CHUNK: usize = 1 << 20;

/// Stages a volume beside others, and prints how many milliseconds that took each time, as JSON.
#[derive(Debug, Parser)]
struct Args {
    /// Where it is mounted.
    #[arg(long)]
    directory: PathBuf,
    /// How many volumes wait; may be given several times.
    #[arg(long = "waiting", default_values_t = [10, 300])]
    waiting: Vec<usize>,
    /// How often each comes to its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How often the volume is staged in each turn.
    #[arg(long, default_value_t = 20)]
    stages: usize,
    #[command(flatten)]
    backend: BackendArgs,
}

/// What goes on meanwhile.
#[derive(Clone, Copy, Debug)]
enum Beside {
    Nothing,
    Waiting(usize),
    Erasure,
}

impl Beside {
    fn name(self) -> String {
        match self {
            Self::Nothing => "nothing".into(),
            Self::Waiting(count) => format!("waiting_{count}"),
            Self::Erasure => "erasure".into(),
        }
    }
}

/// The driver, with objects in memory.
struct Driver {
    devices: Arc<dyn Devices>,
    record: Arc<InMemoryRecord>,
    worker: Arc<Worker<Arc<InMemoryRecord>>>,
    service: NodeService,
    directory: String,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let driver = Driver::new(args.backend.open(KnownZeros::default())?, &args.directory);
    driver.make(STAGED, Bytes::mib(64)).await?;
    driver.make(ERASED, Bytes::mib(256)).await?;
    driver.devices.mark(ERASED, Stage::Erasing)?;
    // Formats it, which later ones do not.
    driver.stage().await?;
    let waiting = args.waiting.iter().copied().map(Beside::Waiting);
    let all: Vec<Beside> = [Beside::Nothing]
        .into_iter()
        .chain(waiting)
        .chain([Beside::Erasure])
        .collect();
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for _ in 0..args.rounds {
        for count in &args.waiting {
            let taken = driver.ask(*count).await?;
            times.entry(format!("ask_{count}")).or_default().extend(taken);
        }
        for beside in &all {
            let taken = driver.measure(*beside, args.stages).await?;
            times.entry(beside.name()).or_default().extend(taken);
        }
    }
    println!("{}", serde_json::to_string(&times)?);
    driver.unstage().await
}

impl Driver {
    fn new(devices: Arc<dyn Devices>, directory: &std::path::Path) -> Self {
        let record = Arc::new(InMemoryRecord::default());
        let layout = Arc::new(Layout::new(Arc::clone(&devices), Revision::default()));
        let worker = Worker::new(layout, Arc::clone(&record), CancellationToken::new());
        let earlier = EarlierVolumes::default();
        let service = NodeService::new(String::new(), Arc::clone(&devices), Arc::new(Kernel), earlier);
        Self {
            devices,
            record,
            worker: Arc::new(worker),
            service,
            directory: directory.display().to_string(),
        }
    }

    async fn make(&self, name: &str, size: Bytes) -> anyhow::Result<()> {
        let volume = volume(name, size, 0)?;
        self.record.put(volume.clone());
        let made = self.worker.reconcile(volume).await?;
        ensure!(made == WorkResult::Settled, "{name} was not made: {made:?}");
        Ok(())
    }

    /// The milliseconds that each call took.
    async fn measure(&self, beside: Beside, stages: usize) -> anyhow::Result<Vec<f64>> {
        let mut others = JoinSet::new();
        let stop = Arc::new(AtomicBool::new(false));
        match beside {
            Beside::Nothing => {}
            Beside::Waiting(count) => self.wait(count, &mut others)?,
            Beside::Erasure => self.erase(&stop, &mut others).await?,
        }
        let mut times = Vec::new();
        for _ in 0..stages {
            self.unstage().await?;
            let begun = Instant::now();
            self.stage().await?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            let ended = others.try_join_next();
            ensure!(ended.is_none(), "what was to go on beside it ended: {ended:?}");
        }
        stop.store(true, Ordering::Relaxed);
        others.abort_all();
        while others.join_next().await.is_some() {}
        self.forget_waiting();
        Ok(times)
    }

    /// They ask as they do in the cluster.
    fn wait(&self, count: usize, others: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
        for volume in self.put_waiting(count)? {
            let worker = Arc::clone(&self.worker);
            others.spawn(async move {
                loop {
                    let result = worker.reconcile(volume.clone()).await?;
                    ensure!(result == WorkResult::Behind, "it does not wait: {result:?}");
                    sleep(ASK_AGAIN).await;
                }
            });
        }
        Ok(())
    }

    /// The milliseconds that each of so many who wait takes to ask whether it has to.
    async fn ask(&self, count: usize) -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::new();
        for volume in self.put_waiting(count)? {
            let begun = Instant::now();
            let result = self.worker.reconcile(volume).await?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            ensure!(result == WorkResult::Behind, "it does not wait: {result:?}");
        }
        self.forget_waiting();
        Ok(times)
    }

    /// So many volumes wait for an older one that is about to choose its region, and never comes to it: as if the API server did not
    /// answer.
    fn put_waiting(&self, count: usize) -> anyhow::Result<Vec<PmemVolume>> {
        self.record.put(volume("waiting-0", Bytes::mib(14), 1)?);
        let names = (1..=count).map(|number| format!("waiting-{number}"));
        let waiting: Vec<PmemVolume> = names
            .map(|name| volume(&name, Bytes::mib(14), 2))
            .collect::<Result<_, _>>()?;
        for volume in &waiting {
            self.record.put(volume.clone());
        }
        Ok(waiting)
    }

    fn forget_waiting(&self) {
        let mut number = 0;
        while self.record.get(&format!("waiting-{number}")).is_some() {
            self.record.remove(&format!("waiting-{number}"));
            number += 1;
        }
    }

    /// Writes zeros over a volume, as its erasure does, over and over until it is stopped.
    async fn erase(&self, stop: &Arc<AtomicBool>, others: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
        let (devices, stop) = (Arc::clone(&self.devices), Arc::clone(stop));
        let (begun, begins) = tokio::sync::oneshot::channel();
        others.spawn(async move {
            let erasing = spawn_blocking(move || -> anyhow::Result<()> {
                let mut begun = Some(begun);
                while !stop.load(Ordering::Relaxed) {
                    let bytes = devices.open_raw(ERASED)?;
                    begun.take().map(|begun| begun.send(()));
                    zero(&*bytes, &stop)?;
                }
                Ok(())
            });
            erasing.await?
        });
        begins.await.context("the erasure did not begin")
    }

    async fn stage(&self) -> anyhow::Result<()> {
        let request = NodeStageVolumeRequest {
            volume_id: STAGED.into(),
            staging_target_path: self.directory.clone(),
            volume_capability: Some(VolumeCapability {
                access_type: Some(AccessType::Mount(MountVolume::default())),
                access_mode: Some(AccessMode {
                    mode: access_mode::Mode::SingleNodeWriter.into(),
                }),
            }),
            ..NodeStageVolumeRequest::default()
        };
        let staged = self.service.node_stage_volume(Request::new(request)).await;
        staged.map(drop).map_err(|status| anyhow!("{}", status.message()))
    }

    async fn unstage(&self) -> anyhow::Result<()> {
        let request = NodeUnstageVolumeRequest {
            volume_id: STAGED.into(),
            staging_target_path: self.directory.clone(),
        };
        let unstaged = self.service.node_unstage_volume(Request::new(request)).await;
        unstaged.map(drop).map_err(|status| anyhow!("{}", status.message()))
    }
}

/// The older ones have the lower second.
fn volume(name: &str, size: Bytes, second: i64) -> anyhow::Result<PmemVolume> {
    let spec = serde_json::json!({ "node": "", "required": size, "mode": "fsdax" });
    let mut volume = PmemVolume::new(name, serde_json::from_value(spec)?);
    volume.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second)?));
    volume.status = Some(PmemVolumeStatus::default());
    Ok(volume)
}

fn zero(bytes: &dyn RawBytes, stop: &AtomicBool) -> anyhow::Result<()> {
    // Direct writes need a buffer that starts on a page.
    let zeros = vec![0; 2 * CHUNK];
    let aligned = zeros.as_ptr().align_offset(4096);
    let zeros = zeros.get(aligned..aligned + CHUNK).context("no aligned buffer")?;
    let chunk = Bytes::try_from(CHUNK as u64).map_err(|error| anyhow!("{error}"))?;
    let mut offset = Bytes::ZERO;
    while offset < bytes.size() && !stop.load(Ordering::Relaxed) {
        bytes.write_zeros(offset, zeros)?;
        offset = offset.plus(chunk);
    }
    bytes.flush()?;
    Ok(())
}
