//! Makes and erases a volume without Kubernetes, by the driver's own code: for tests on hardware and for debugging. It is not
//! part of the shipped driver, because it erases any volume that it is given.

mod effects;

use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Parser};
use crds::{DELETE_VOLUME, FINALIZER, NumaChoice, Phase, PmemVolume, PmemVolumeSpec, PmemVolumeStatus};
use csi::v1::node_server::Node;
use csi::v1::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume, access_mode};
use csi::v1::{NodeStageVolumeRequest, VolumeCapability};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use node_driver::csi::NodeService;
use node_driver::devices::{BackendArgs, Devices};
use node_driver::filesystem::Kernel;
use node_driver::known_zero::KnownZeros;
use node_driver::layout::{Layout, Revision};
use node_driver::node_file::NodeFile;
use node_driver::node_lock::NodeLock;
use node_driver::volumes::{EarlierVolumes, InMemoryRecord, WorkResult, Worker};
use placement::{Bytes, MapLocation};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tracing_subscriber::EnvFilter;

use effects::{CountedDevices, CountedKernel, Effects, End, Which};

/// Makes or erases a volume without Kubernetes, as the node driver would.
#[derive(Debug, Parser)]
enum Command {
    /// Make a namespace with at least SIZE usable bytes, all zero.
    Create(CreateArgs),
    /// Write zeros over all bytes of a namespace that `create` made, and destroy it.
    Delete(DeleteArgs),
    /// Make all free bytes zero that may hold something, as the driver does in the background. Prints how many are left.
    Sweep(SweepArgs),
    /// Mount a volume on a directory, or hand over its block device: format it if nobody had it, and mark it as in use.
    Stage(StageArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Name of the namespace.
    name: String,
    /// Usable bytes, such as 28Mi.
    #[arg(value_parser = size)]
    size: Bytes,
    /// Make a BTT (sector mode) instead of fsdax.
    #[arg(long)]
    sector: bool,
    /// Keep the page map in RAM instead of in the namespace.
    #[arg(long, conflicts_with = "sector")]
    map_mem: bool,
    /// Make an older volume of this size, "older", as soon as this one waits for it.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    older: Option<Bytes>,
    /// The object is one of before there were marks: it says that the volume is where the namespace of its name is.
    #[arg(long)]
    earlier: bool,
    /// Only on this NUMA node; its number, or "any".
    #[arg(long, default_value = "any", value_parser = numa)]
    numa: NumaChoice,
    #[command(flatten)]
    ending: EndArgs,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// Name of the namespace.
    name: String,
    /// Its data is lost for ever.
    #[arg(long, required = true)]
    destroy_data: bool,
    /// Bytes that are erased in a second at most, such as 4Mi.
    #[arg(long, value_parser = size)]
    rate: Option<Bytes>,
    #[command(flatten)]
    ending: EndArgs,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Args)]
struct SweepArgs {
    #[command(flatten)]
    ending: EndArgs,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Args)]
struct StageArgs {
    /// Name of the volume.
    name: String,
    /// Where to mount it.
    directory: String,
    /// Its file system; without, it is a block volume.
    #[arg(long)]
    fs: Option<String>,
    #[command(flatten)]
    ending: EndArgs,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Args)]
struct NodeArgs {
    /// Where the driver of this node has its socket, and its lock: nothing is done while it runs.
    #[arg(long, default_value = "/var/lib/kubelet/plugins/csi.daxfit.dev")]
    plugin_folder: PathBuf,
    #[command(flatten)]
    backend: BackendArgs,
}

/// Flags for crashes.
#[derive(Debug, Args)]
struct EndArgs {
    /// Get SIGKILL after this effect: its number, its name, or its name and its number among those of this name (`zero:3`).
    #[arg(long, value_name = "EFFECT")]
    kill_after: Option<Which>,
    /// Do nothing any more after this effect, until the power is cut.
    #[arg(long, value_name = "EFFECT", conflicts_with = "kill_after")]
    stop_after: Option<Which>,
}

impl EndArgs {
    fn effects(&self) -> Effects {
        let kill = self.kill_after.clone().map(|which| (which, End::Kill));
        let stop = self.stop_after.clone().map(|which| (which, End::Stop));
        Effects::new(kill.or(stop))
    }
}

fn size(text: &str) -> Result<Bytes, crds::NotAQuantity> {
    crds::bytes_of_quantity(&Quantity(text.into()))
}

fn numa(text: &str) -> Result<NumaChoice, String> {
    text.to_owned().try_into()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let levels = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(levels)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    match Command::parse() {
        Command::Create(args) => create(args).await,
        Command::Delete(args) => delete(args).await,
        Command::Sweep(args) => sweep(args).await,
        Command::Stage(args) => stage(args).await,
    }
}

/// Prints the volume's status as JSON.
async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let mut volume = PmemVolume::new(&args.name, spec(&args));
    volume.metadata.creation_timestamp = Some(Time(now));
    if args.earlier {
        volume.status = Some(earlier_status(&args)?);
    }
    let older = args.older.map(|required| older_volume(required, now)).transpose()?;
    let devices = counted(&args.node, &args.ending.effects())?;
    let volume = Standalone::new(devices).reconcile(volume, older).await?;
    let volume = volume.context("the volume is gone")?;
    let status = volume.status.unwrap_or_default();
    println!("{}", serde_json::to_string_pretty(&status)?);
    if status.phase != Some(Phase::Ready) {
        bail!("{} was not made", args.name);
    }
    Ok(())
}

fn spec(args: &CreateArgs) -> PmemVolumeSpec {
    PmemVolumeSpec {
        node: String::new(),
        required: args.size,
        limit: None,
        mode: if args.sector {
            crds::VolumeMode::Sector
        } else {
            crds::VolumeMode::Fsdax
        },
        map: if args.map_mem {
            MapLocation::Mem
        } else {
            MapLocation::Dev
        },
        numa: args.numa,
        erase: crds::ErasePolicy::Zero,
        erase_rate: None,
        claim: None,
    }
}

/// What the object of a volume of before there were marks says, whose namespace is there.
fn earlier_status(args: &CreateArgs) -> anyhow::Result<PmemVolumeStatus> {
    let inventory = args.node.backend.open(KnownZeros::default())?.inventory()?;
    let mut unmarked = inventory.unmarked(&args.name);
    let found = unmarked
        .next()
        .with_context(|| format!("no namespace is named {}", args.name))?;
    Ok(PmemVolumeStatus {
        phase: Some(Phase::Ready),
        region: Some(found.region.clone()),
        footprint: Some(found.extent),
        ..PmemVolumeStatus::default()
    })
}

fn older_volume(required: Bytes, than: Timestamp) -> anyhow::Result<PmemVolume> {
    let spec = serde_json::json!({ "node": "", "required": required, "mode": "fsdax" });
    let mut volume = PmemVolume::new("older", serde_json::from_value(spec)?);
    let before = than.checked_sub(SignedDuration::from_secs(1))?;
    volume.metadata.creation_timestamp = Some(Time(before));
    Ok(volume)
}

/// Only a namespace with the mark of the volume is erased.
async fn delete(args: DeleteArgs) -> anyhow::Result<()> {
    let devices = counted(&args.node, &args.ending.effects())?;
    let inventory = devices.inventory()?;
    let found = inventory
        .of_volume(&args.name)
        .map_err(|unclear| anyhow!("{unclear:?}"))?;
    let (namespace, _) = found.with_context(|| format!("there is no namespace of volume {}", args.name))?;
    let spec = serde_json::json!({ "node": "", "required": 1, "mode": "fsdax" });
    let mut volume = PmemVolume::new(&args.name, serde_json::from_value(spec)?);
    volume.spec.erase_rate = args.rate;
    volume.metadata.deletion_timestamp = Some(Time(Timestamp::now()));
    volume.metadata.finalizers = Some(vec![FINALIZER.into()]);
    volume.metadata.annotations = Some([(DELETE_VOLUME.into(), "true".into())].into());
    volume.status = Some(PmemVolumeStatus {
        phase: Some(Phase::Ready),
        region: Some(namespace.region.clone()),
        ..PmemVolumeStatus::default()
    });
    let standalone = Standalone::new(devices);
    if let Some(volume) = standalone.reconcile(volume, None).await? {
        bail!("not deleted: {}", serde_json::to_string_pretty(&volume.status)?);
    }
    Ok(standalone.worker.clear(&args.name).await?)
}

/// Prints how many bytes are left in each region.
async fn sweep(args: SweepArgs) -> anyhow::Result<()> {
    let devices = counted(&args.node, &args.ending.effects())?;
    let left = Standalone::new(devices).worker.sweep_at_once().await?;
    println!("{}", serde_json::to_string_pretty(&left)?);
    Ok(())
}

/// Mounts a volume on a directory, or hands over its block device, by the driver's own `NodeStageVolume`.
async fn stage(args: StageArgs) -> anyhow::Result<()> {
    let access = match args.fs {
        Some(fs) => AccessType::Mount(MountVolume {
            fs_type: fs,
            ..MountVolume::default()
        }),
        None => AccessType::Block(BlockVolume {}),
    };
    let mode = access_mode::Mode::SingleNodeWriter.into();
    let request = NodeStageVolumeRequest {
        volume_id: args.name,
        staging_target_path: args.directory,
        volume_capability: Some(VolumeCapability {
            access_type: Some(access),
            access_mode: Some(AccessMode { mode }),
        }),
        ..NodeStageVolumeRequest::default()
    };
    let effects = args.ending.effects();
    let devices = counted(&args.node, &effects)?;
    let kernel = CountedKernel {
        kernel: Kernel,
        effects,
    };
    let service = NodeService::new(String::new(), devices, Arc::new(kernel), EarlierVolumes::default());
    let staged = service.node_stage_volume(Request::new(request)).await;
    staged.map(drop).map_err(|status| anyhow!("{}", status.message()))
}

/// The devices, for this process alone until it is gone. As at the start of the driver, what a crash left disabled comes up.
fn counted(node: &NodeArgs, effects: &Effects) -> anyhow::Result<Arc<dyn Devices>> {
    let _lock = ManuallyDrop::new(NodeLock::take(&node.plugin_folder)?);
    let zeros = KnownZeros::kept_in(NodeFile::known_zeros(&node.plugin_folder));
    let devices = node.backend.open(zeros)?;
    devices.bring_up()?;
    Ok(Arc::new(CountedDevices {
        devices,
        effects: effects.clone(),
    }))
}

/// The driver's worker, with objects in memory.
struct Standalone {
    record: Arc<InMemoryRecord>,
    worker: Worker<Arc<InMemoryRecord>>,
}

impl Standalone {
    fn new(devices: Arc<dyn Devices>) -> Self {
        let layout = Layout::new(devices, Revision::default());
        let record = Arc::new(InMemoryRecord::default());
        let worker = Worker::new(Arc::new(layout), Arc::clone(&record), CancellationToken::new());
        Self { record, worker }
    }

    /// The volume after the worker was done with it, and with an older one that it had to wait for; none if it is gone.
    async fn reconcile(&self, volume: PmemVolume, older: Option<PmemVolume>) -> anyhow::Result<Option<PmemVolume>> {
        let name = volume.metadata.name.clone().unwrap_or_default();
        for each in older.iter().chain([&volume]) {
            self.record.put(each.clone());
        }
        if self.worker.reconcile(volume.clone()).await? == WorkResult::Behind {
            let older = older.context("it waits for an older volume, and there is none")?;
            self.worker.reconcile(older).await?;
            self.worker.reconcile(volume).await?;
        }
        Ok(self.record.get(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_destroyed_by_accident() {
        assert!(Command::try_parse_from(["standalone-volume", "delete", "v"]).is_err());
    }
}
