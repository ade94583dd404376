//! The steps of the demo.

use anyhow::{Context, Result, ensure};
use placement::Bytes;

use super::report::Report;
use crate::harness::capacity::{self, Capacity};
use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{Claim, bytes_at, gone, volume_of};

const POD: &str = "writer";
/// 28 MiB is a multiple of 2 MiB, but not of 16 MiB; 100 MB is a multiple of neither.
const CLAIMS: [(&str, &str, i64); 2] = [("exact", "29360128", 29_360_128), ("hundred", "100M", 100_000_000)];

/// Shows everything, from the capacity before to the capacity after.
pub(super) async fn show(cluster: &TestCluster, report: &mut Report) -> Result<()> {
    report.step("Capacity before: the largest volume by node, NUMA node and class (CSIStorageCapacity)");
    Report::print(&table(&cluster.empty));
    let claims = CLAIMS.map(|(name, size, _)| Claim::new(name, size, "daxfit-ext4"));
    start(cluster, report, &claims).await?;
    for (claim, _, asked) in CLAIMS {
        volume(cluster, report, claim, Bytes::try_from(asked)?).await?;
    }
    write_and_read(cluster, report).await?;
    after(cluster, report).await?;
    delete(cluster, report, &claims).await
}

async fn start(cluster: &TestCluster, report: &mut Report, claims: &[Claim<'_>]) -> Result<()> {
    report.step("A pod with two claims: 29360128 bytes (28 MiB) and 100 MB");
    cluster.start(POD, claims).await?;
    let pod = cluster.kubectl.json(&["get", "pod", POD]).await?;
    let node = pod["spec"]["nodeName"].as_str().context("the pod has no node")?;
    let others = without_capacity(cluster).await?;
    Report::print(&format!(
        "No CSIStorageCapacity object, so left out by kube-scheduler: {others}"
    ));
    Report::print("The extender's answers about the others:");
    Report::print(&cluster.extender_log_about(POD).await?);
    ensure!(
        cluster.empty.keys().any(|(with, _, _)| with == node),
        "{node} has no persistent memory"
    );
    Report::print(&format!("kube-scheduler put it on {node}"));
    report.checked(format!("the pod runs on {node}, which has persistent memory"));
    Ok(())
}

async fn without_capacity(cluster: &TestCluster) -> Result<String> {
    let nodes = cluster.kubectl.items(&["nodes"]).await?;
    let names = nodes.iter().filter_map(|node| node["metadata"]["name"].as_str());
    let has_none = |name: &&str| !cluster.empty.keys().any(|(with, _, _)| with == name);
    Ok(names.filter(has_none).collect::<Vec<_>>().join(", "))
}

/// One volume as PmemVolume, kernel and pod see it.
async fn volume(cluster: &TestCluster, report: &mut Report, claim: &str, asked: Bytes) -> Result<()> {
    let name = volume_of(&cluster.kubectl, claim).await?;
    report.step(&format!("Claim {claim}: the namespace {name}"));
    let object = cluster.kubectl.json(&["get", "pmemvolume", &name]).await?;
    let (usable, raw) = (
        bytes_at(&object, "/status/usable")?,
        bytes_at(&object, "/status/footprint/size")?,
    );
    let namespace = cluster.namespace(&name).await?;
    Report::print(&format!(
        "asked {} B, usable {} B, raw {} B",
        asked.get(),
        usable.get(),
        raw.get()
    ));
    Report::print(&namespace.shown);
    ensure!(
        namespace.size == usable.get(),
        "the kernel says {} bytes, the PmemVolume {usable}",
        namespace.size
    );
    ensure!(
        usable >= asked && usable < asked.plus(Bytes::mib(2)),
        "asked {asked}, usable {usable}"
    );
    report.checked(format!(
        "{claim}: asked {} B, usable {} B, less than 2 MiB more",
        asked.get(),
        usable.get()
    ));
    Ok(())
}

async fn write_and_read(cluster: &TestCluster, report: &mut Report) -> Result<()> {
    report.step("The pod writes to its file systems and reads back");
    let mounts = cluster.in_pod(POD, "grep /pmem/ /proc/mounts").await?;
    Report::print(&mounts);
    for (claim, _, _) in CLAIMS {
        let mount = mounts
            .lines()
            .find(|line| line.contains(&format!("/pmem/{claim} ")))
            .unwrap_or_default();
        ensure!(mount.contains("dax=always"), "{claim} is not mounted with DAX: {mount}");
        let file = format!("/pmem/{claim}/data");
        let script = format!("head -c 8388608 /dev/urandom > {file}; sync; md5sum < {file}; md5sum < {file}");
        let sums = cluster.in_pod(POD, &script).await?;
        let (first, second) = sums.trim().split_once('\n').context("md5sum said nothing")?;
        ensure!(first == second, "{claim}: read {second} after {first}");
        report.checked(format!("{claim}: mounted with dax=always; 8 MiB written and read back"));
    }
    Ok(())
}

async fn after(cluster: &TestCluster, report: &mut Report) -> Result<()> {
    report.step("Capacity while the pod runs");
    let changed = |now: &Capacity| now.len() == cluster.empty.len() && *now != cluster.empty;
    let used = capacity::becomes(&cluster.kubectl, "capacity shows the two volumes", changed).await?;
    Report::print(&table(&used));
    ensure!(
        used.iter()
            .all(|(key, size)| cluster.empty.get(key).is_some_and(|before| size <= before)),
        "capacity grew"
    );
    report.checked("capacity shows the space that the volumes take".to_owned());
    Ok(())
}

async fn delete(cluster: &TestCluster, report: &mut Report, claims: &[Claim<'_>]) -> Result<()> {
    report.step("Pod and claims are deleted: bytes are zeroed, namespaces destroyed");
    let names = [
        volume_of(&cluster.kubectl, CLAIMS[0].0).await?,
        volume_of(&cluster.kubectl, CLAIMS[1].0).await?,
    ];
    cluster.stop(POD, claims).await?;
    for name in &names {
        gone(&cluster.kubectl, "pmemvolume", name).await?;
    }
    cluster.is_as_before().await?;
    Report::print(&table(&cluster.empty));
    report.checked("capacity is back to the first byte".to_owned());
    report.checked("no namespace and no PmemVolume is left".to_owned());
    Ok(())
}

fn table(capacity: &Capacity) -> String {
    let line = |((node, numa, class), size): (&(String, String, String), &Bytes)| {
        format!("{node:<12} NUMA {numa:<5} {class:<16} {:>14} B  ({size})\n", size.get())
    };
    capacity.iter().map(line).collect()
}
