//! How long a volume takes to be made on the persistent memory of this machine, on bytes that are known to be zero and on others,
//! against the calls of libndctl that any program would need; how fast volumes are erased, against zeros that are written as fast
//! as the device takes them. By turns, so that a machine that becomes slower meanwhile favours none of them.
//!
//! It is for `cargo figures erase`, on a machine that nobody else uses: it makes volumes and namespaces and erases them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use crds::{PmemVolume, PmemVolumeStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ndctl::{Context, Fsdax, NamespaceName, PageMap};
use node_driver::devices::{BackendArgs, Devices, Stage};
use node_driver::known_zero::KnownZeros;
use node_driver::layout::{Layout, Revision};
use node_driver::node_file::NodeFile;
use node_driver::volumes::{InMemoryRecord, Progress, WorkResult, Worker, erase};
use placement::{Bytes, MapLocation, Mode};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MODE: Mode = Mode::Fsdax(MapLocation::Dev);
const VOLUME: &str = "volume";
/// The one whose bytes are erased while others are made.
const ERASED: &str = "erased";
/// The smallest namespace with a file system that can be mapped.
const SMALL: Bytes = Bytes::mib(16);
const MIDDLE: Bytes = Bytes::mib(256);

/// Makes and erases volumes, and prints as JSON how many milliseconds each took, and how many MiB per second were zeroed.
#[derive(Debug, Parser)]
struct Args {
    /// A folder for the file of what is known to be zero.
    #[arg(long)]
    folder: PathBuf,
    /// How often each comes to its turn.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    #[command(flatten)]
    backend: BackendArgs,
}

type Measured = BTreeMap<String, Vec<f64>>;

/// The driver, with objects in memory.
struct Driver {
    devices: Arc<dyn Devices>,
    record: Arc<InMemoryRecord>,
    worker: Worker<Arc<InMemoryRecord>>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let zeros = KnownZeros::kept_in(NodeFile::known_zeros(&args.folder));
    let driver = Driver::new(args.backend.open(zeros)?);
    let whole = driver.devices.inventory()?.regions.first().context("no region")?.size;
    let mut measured = Measured::new();
    for _ in 0..args.rounds {
        for (name, size) in [("16", SMALL), ("256", MIDDLE), ("whole", whole)] {
            let mut note = |what: &str, value: f64| measured.entry(format!("{what}_{name}")).or_default().push(value);
            note("bare", bare(size)?);
            // Somebody else had the bytes meanwhile.
            note("unknown", driver.make(VOLUME, size).await?);
            driver.end(VOLUME).await?;
            note("known", driver.make(VOLUME, size).await?);
            let (streamed, erased) = driver.zero(size).await?;
            note("streamed", streamed);
            note("erased", erased);
            driver.end(VOLUME).await?;
        }
        driver.beside(&mut measured).await?;
    }
    println!("{}", serde_json::to_string(&measured)?);
    Ok(())
}

fn milliseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

/// The milliseconds that it takes to make a namespace and to give it its mode.
fn bare(size: Bytes) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut context = Context::new()?;
    let regions = context.regions()?;
    let namespace = regions.first().context("no region")?.idle_namespace()?;
    namespace.set_uuid(Uuid::new_v4())?;
    namespace.set_name(&"bare".parse::<NamespaceName>()?)?;
    namespace.set_size(size)?;
    namespace.enable_fsdax(Fsdax {
        uuid: Uuid::new_v4(),
        map: PageMap::Dev,
        align: Bytes::mib(2),
    })?;
    let taken = milliseconds(begun);
    namespace.disable()?;
    let device = namespace.device();
    context.delete_namespace(&device)?;
    Ok(taken)
}

impl Driver {
    fn new(devices: Arc<dyn Devices>) -> Self {
        let record = Arc::new(InMemoryRecord::default());
        let layout = Arc::new(Layout::new(Arc::clone(&devices), Revision::default()));
        let worker = Worker::new(layout, Arc::clone(&record), CancellationToken::new());
        Self {
            devices,
            record,
            worker,
        }
    }

    /// The milliseconds that a volume takes until it is ready.
    async fn make(&self, name: &str, size: Bytes) -> anyhow::Result<f64> {
        let volume = volume(name, MODE.usable(size))?;
        self.record.put(volume.clone());
        let begun = Instant::now();
        let made = self.worker.reconcile(volume).await?;
        let taken = milliseconds(begun);
        ensure!(made == WorkResult::Settled, "{name} was not made: {made:?}");
        Ok(taken)
    }

    /// Deletes and erases a volume.
    async fn end(&self, name: &str) -> anyhow::Result<()> {
        let inventory = self.devices.inventory()?;
        if !matches!(inventory.of_volume(name), Ok(Some((_, Stage::Erasing)))) {
            self.devices.mark(name, Stage::Erasing)?;
        }
        self.record.remove(name);
        Ok(self.worker.clear(name).await?)
    }

    /// MiB per second that are zeroed in the volume, by a loop of one thread and by an erasure.
    async fn zero(&self, size: Bytes) -> anyhow::Result<(f64, f64)> {
        self.devices.mark(VOLUME, Stage::Erasing)?;
        let devices = Arc::clone(&self.devices);
        let taken = spawn_blocking(move || -> anyhow::Result<(Duration, Duration)> {
            let bytes = devices.open_raw(VOLUME)?;
            let begun = Instant::now();
            stream(&*bytes)?;
            let streamed = begun.elapsed();
            let begun = Instant::now();
            erase(&*bytes, &Progress::default())?;
            Ok((streamed, begun.elapsed()))
        });
        let (streamed, erased) = taken.await??;
        let speed =
            |taken: Duration| f64::from(u32::try_from(size.get() >> 20).unwrap_or(u32::MAX)) / taken.as_secs_f64();
        Ok((speed(streamed), speed(erased)))
    }

    /// How long small volumes take beside an erasure, and with nothing beside them, on bytes that are known to be zero.
    async fn beside(&self, measured: &mut Measured) -> anyhow::Result<()> {
        self.make(ERASED, MIDDLE).await?;
        self.devices.mark(ERASED, Stage::Erasing)?;
        self.make(VOLUME, SMALL).await?;
        self.end(VOLUME).await?;
        for name in ["idle", "beside"] {
            let stop = CancellationToken::new();
            let erasing = (name == "beside").then(|| self.erase_until(&stop));
            let taken = self.make(VOLUME, SMALL).await?;
            stop.cancel();
            if let Some(erasing) = erasing {
                erasing.await??;
            }
            measured.entry(format!("make_{name}")).or_default().push(taken);
            self.end(VOLUME).await?;
        }
        self.end(ERASED).await
    }

    fn erase_until(&self, stop: &CancellationToken) -> tokio::task::JoinHandle<anyhow::Result<()>> {
        let (devices, stop) = (Arc::clone(&self.devices), stop.clone());
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let erasing = spawn_blocking(move || {
            let bytes = devices.open_raw(ERASED)?;
            begun.store(true, Ordering::Relaxed);
            while !stop.is_cancelled() {
                // It ends with an error when it is stopped.
                let _stopped = erase(&*bytes, &Progress::new(stop.clone()));
            }
            Ok(())
        });
        while !begins.load(Ordering::Relaxed) && !erasing.is_finished() {
            std::thread::yield_now();
        }
        erasing
    }
}

/// Writes zeros as fast as one thread can.
fn stream(bytes: &dyn node_driver::devices::RawBytes) -> anyhow::Result<()> {
    const CHUNK: usize = 1 << 20;
    // Direct writes need a buffer that starts on a page.
    let zeros = vec![0; 2 * CHUNK];
    let aligned = zeros.as_ptr().align_offset(4096);
    let zeros = zeros.get(aligned..aligned + CHUNK).context("no aligned buffer")?;
    let mut offset = Bytes::ZERO;
    while offset < bytes.size() {
        bytes.write_zeros(offset, zeros)?;
        offset = offset.plus(Bytes::mib(1));
    }
    Ok(bytes.flush()?)
}

fn volume(name: &str, required: Bytes) -> anyhow::Result<PmemVolume> {
    let spec = serde_json::json!({ "node": "", "required": required, "mode": "fsdax" });
    let mut volume = PmemVolume::new(name, serde_json::from_value(spec)?);
    volume.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    volume.status = Some(PmemVolumeStatus::default());
    Ok(volume)
}
