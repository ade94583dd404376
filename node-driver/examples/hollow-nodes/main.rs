//! Many nodes in one process, for measurements: Node and CSINode objects as a kubelet would make them, and for each of
//! them the driver's own code on emulated persistent memory. There is no kubelet, so nothing is ever mounted.

mod control;
mod objects;
mod recorded;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use node_driver::devices::{Attach, Devices, Emulated, RegionFlag};
use node_driver::layout::Uevents;
use node_driver::run::{Cluster, work};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use control::{HollowNode, Nodes};
use recorded::{EventFile, Recorded};

/// Requests for objects at the same time.
const PARALLEL: usize = 32;

/// Runs many nodes with emulated persistent memory in one process.
#[derive(Debug, Parser)]
struct Args {
    /// How to reach the API server, as somebody who may make nodes and do all that the driver does.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// The namespace of Daxfit, where the drivers have their Leases.
    #[arg(long, default_value = "daxfit-system")]
    namespace: String,
    /// How many nodes; they are called hollow-0, hollow-1 …
    #[arg(long, default_value_t = 10)]
    nodes: u32,
    /// Where the emulated memory of all nodes is kept.
    #[arg(long)]
    folder: PathBuf,
    /// A region of each node. May be given several times.
    #[arg(long = "region", value_name = "SIZE[@NUMA]", default_values = ["512Mi@0", "512Mi@1"])]
    regions: Vec<RegionFlag>,
    /// A file that gets one JSON line for each namespace that is made or destroyed, with the time.
    #[arg(long)]
    record: Option<PathBuf>,
    /// A unix socket that takes orders to make and destroy namespaces that are no volumes, as a person with ndctl would.
    #[arg(long)]
    control: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let levels = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,hollow_nodes=info"));
    tracing_subscriber::fmt()
        .with_env_filter(levels)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    allow_many_files()?;
    let client = client(&args).await?;
    let nodes = open(&args)?;
    let made = stream::iter(nodes.keys()).map(|node| objects::register(&client, node));
    made.buffer_unordered(PARALLEL).try_collect::<()>().await?;
    tracing::info!(nodes = nodes.len(), "registered");
    run(&args, nodes, client).await
}

/// Each node has a watch and a socket for the kernel's announcements.
fn allow_many_files() -> anyhow::Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, most).context("cannot raise the limit of open files")
}

async fn client(args: &Args) -> anyhow::Result<Client> {
    let read = Kubeconfig::read_from(&args.kubeconfig).context("cannot read the kubeconfig")?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn open(args: &Args) -> anyhow::Result<Nodes> {
    let open = |number: u32| -> anyhow::Result<_> {
        let node = format!("hollow-{number}");
        let devices = Emulated::open(&args.folder.join(&node), &args.regions, Attach::Nothing)?;
        let devices = Arc::new(devices);
        let runs = watch::Sender::new(true);
        Ok((node, HollowNode { devices, runs }))
    };
    (0..args.nodes).map(open).collect()
}

/// Works for all nodes until a part fails. Those who start this process end it by a signal.
async fn run(args: &Args, nodes: Nodes, client: Client) -> anyhow::Result<()> {
    let mut drivers: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let events = args.record.as_deref().map(EventFile::create).transpose()?;
    for (name, node) in &nodes {
        let devices: Arc<dyn Devices> = match &events {
            Some(events) => Arc::new(Recorded::new(name, Arc::clone(&node.devices), events.clone())),
            None => Arc::clone(&node.devices) as _,
        };
        let (name, namespace, client) = (name.clone(), args.namespace.clone(), client.clone());
        let cluster = move || Cluster {
            node: name.clone(),
            namespace: namespace.clone(),
            client: client.clone(),
            sweep_after: None,
            stop: CancellationToken::new(),
        };
        drivers.spawn(drive(cluster, devices, node.runs.subscribe()));
    }
    tokio::select! {
        ended = drivers.join_next() => bail!("the driver of a node ended: {ended:?}"),
        ended = control::serve(args.control.as_deref(), &nodes) => ended,
    }
}

/// The driver of one node, while it is to run. Whatever it is doing, it is killed.
async fn drive(
    cluster: impl Fn() -> Cluster,
    devices: Arc<dyn Devices>,
    mut runs: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    loop {
        runs.wait_for(|runs| *runs).await?;
        let working = work(
            cluster(),
            Arc::clone(&devices),
            Default::default(),
            None,
            Uevents::listen()?,
        );
        tokio::select! {
            ended = working => return Ok(ended?),
            killed = runs.wait_for(|runs| !runs) => drop(killed?),
        }
    }
}
