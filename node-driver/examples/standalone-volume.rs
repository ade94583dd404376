//! Makes and erases a volume without Kubernetes, by the driver's own code: for tests on hardware and for debugging. It is not
//! part of the shipped driver, because it erases any volume that it is given.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Parser};
use crds::{DELETE_VOLUME, FINALIZER, NumaChoice, Phase, PmemVolume, PmemVolumeSpec, PmemVolumeStatus};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use node_driver::devices::{BackendArgs, Devices, Stage};
use node_driver::layout::{Layout, Revision};
use node_driver::volumes::{InMemoryRecord, Worker};
use placement::{Bytes, MapLocation};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Makes or erases a volume without Kubernetes, as the node driver would.
#[derive(Debug, Parser)]
enum Command {
    /// Make a namespace with at least SIZE usable bytes, all zero.
    Create(CreateArgs),
    /// Write zeros over all bytes of a namespace that `create` made, and destroy it.
    Delete(DeleteArgs),
    /// Mark a volume as in use, as before its first mount.
    HandOver(NameArgs),
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
    /// Leave space for an older volume of this size, which has no namespace yet.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    older: Option<Bytes>,
    /// Only on this NUMA node; its number, or "any".
    #[arg(long, default_value = "any", value_parser = numa)]
    numa: NumaChoice,
    #[command(flatten)]
    backend: BackendArgs,
}

#[derive(Debug, Args)]
struct DeleteArgs {
    /// Name of the namespace.
    name: String,
    /// Its data is lost for ever.
    #[arg(long, required = true)]
    destroy_data: bool,
    #[command(flatten)]
    backend: BackendArgs,
}

#[derive(Debug, Args)]
struct NameArgs {
    /// Name of the volume.
    name: String,
    #[command(flatten)]
    backend: BackendArgs,
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
        Command::HandOver(args) => hand_over(&args),
    }
}

/// Prints the volume's status as JSON.
async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let mut volume = PmemVolume::new(&args.name, spec(&args));
    volume.metadata.creation_timestamp = Some(Time(now));
    let older = args.older.map(|required| older_volume(required, now)).transpose()?;
    let volume = Standalone::new(args.backend.open()?).reconcile(volume, older).await?;
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
        claim: None,
    }
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
    let devices = args.backend.open()?;
    let inventory = devices.inventory()?;
    let found = inventory
        .of_volume(&args.name)
        .map_err(|unclear| anyhow!("{unclear:?}"))?;
    let (namespace, _) = found.with_context(|| format!("there is no namespace of volume {}", args.name))?;
    let spec = serde_json::json!({ "node": "", "required": 1, "mode": "fsdax" });
    let mut volume = PmemVolume::new(&args.name, serde_json::from_value(spec)?);
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

/// Marks a volume as in use, as `NodeStageVolume` does.
fn hand_over(args: &NameArgs) -> anyhow::Result<()> {
    Ok(args.backend.open()?.mark(&args.name, Stage::InUse)?)
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

    /// The volume after the worker was done with it, beside another that it leaves alone; none if it is gone.
    async fn reconcile(&self, volume: PmemVolume, other: Option<PmemVolume>) -> anyhow::Result<Option<PmemVolume>> {
        let name = volume.metadata.name.clone().unwrap_or_default();
        for each in other.into_iter().chain([volume.clone()]) {
            self.record.put(each);
        }
        self.worker.reconcile(volume).await?;
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
