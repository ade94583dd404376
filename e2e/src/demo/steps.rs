//! The steps of the demo.

use anyhow::{Context, Result, ensure};
use placement::Bytes;

use super::account::Account;
use crate::capacity::{self, Capacity};
use crate::stage::Stage;
use crate::workload::{Claim, bytes_at, gone, volume_of};

const POD: &str = "writer";
/// 28 MiB is a multiple of 2 MiB, but not of 16 MiB; 100 MB is a multiple of neither.
const CLAIMS: [(&str, &str, i64); 2] = [("exact", "29360128", 29_360_128), ("hundred", "100M", 100_000_000)];

/// Shows everything, from the capacity before to the capacity after.
///
/// # Errors
/// A step failed.
pub(super) async fn show(stage: &Stage, account: &mut Account) -> Result<()> {
    account.step("Capacity before: the largest volume by node, NUMA node and class (CSIStorageCapacity)");
    Account::tell(&table(&stage.empty));
    let claims = CLAIMS.map(|(name, size, _)| Claim::new(name, size, "daxfit-ext4"));
    start(stage, account, &claims).await?;
    for (claim, _, asked) in CLAIMS {
        volume(stage, account, claim, Bytes::try_from(asked)?).await?;
    }
    write_and_read(stage, account).await?;
    after(stage, account).await?;
    delete(stage, account, &claims).await
}

async fn start(stage: &Stage, account: &mut Account, claims: &[Claim<'_>]) -> Result<()> {
    account.step("A pod with two claims: 29360128 bytes (28 MiB) and 100 MB");
    stage.start(POD, claims).await?;
    let pod = stage.kubectl.json(&["get", "pod", POD]).await?;
    let node = pod["spec"]["nodeName"].as_str().context("the pod has no node")?;
    let others = without_capacity(stage).await?;
    Account::tell(&format!(
        "No CSIStorageCapacity object, so left out by kube-scheduler: {others}"
    ));
    Account::tell("The extender's answers about the others:");
    Account::tell(&stage.extender_said_about(POD).await?);
    ensure!(
        stage.empty.keys().any(|(with, _, _)| with == node),
        "{node} has no persistent memory"
    );
    Account::tell(&format!("kube-scheduler put it on {node}"));
    account.checked(format!("the pod runs on {node}, which has persistent memory"));
    Ok(())
}

async fn without_capacity(stage: &Stage) -> Result<String> {
    let nodes = stage.kubectl.items(&["nodes"]).await?;
    let names = nodes.iter().filter_map(|node| node["metadata"]["name"].as_str());
    let has_none = |name: &&str| !stage.empty.keys().any(|(with, _, _)| with == name);
    Ok(names.filter(has_none).collect::<Vec<_>>().join(", "))
}

/// One volume as PmemVolume, kernel and pod see it.
async fn volume(stage: &Stage, account: &mut Account, claim: &str, asked: Bytes) -> Result<()> {
    let name = volume_of(&stage.kubectl, claim).await?;
    account.step(&format!("Claim {claim}: the namespace {name}"));
    let object = stage.kubectl.json(&["get", "pmemvolume", &name]).await?;
    let (usable, raw) = (
        bytes_at(&object, "/status/usable")?,
        bytes_at(&object, "/status/footprint/size")?,
    );
    let namespace = stage.namespace(&name).await?;
    Account::tell(&format!(
        "asked {} B, usable {} B, raw {} B",
        asked.get(),
        usable.get(),
        raw.get()
    ));
    Account::tell(&namespace.shown);
    ensure!(
        namespace.size == usable.get(),
        "the kernel says {} bytes, the PmemVolume {usable}",
        namespace.size
    );
    ensure!(
        usable >= asked && usable < asked.plus(Bytes::mib(2)),
        "asked {asked}, usable {usable}"
    );
    account.checked(format!(
        "{claim}: asked {} B, usable {} B, less than 2 MiB more",
        asked.get(),
        usable.get()
    ));
    Ok(())
}

async fn write_and_read(stage: &Stage, account: &mut Account) -> Result<()> {
    account.step("The pod writes to its file systems and reads back");
    let mounts = stage.in_pod(POD, "grep /pmem/ /proc/mounts").await?;
    Account::tell(&mounts);
    for (claim, _, _) in CLAIMS {
        let mount = mounts
            .lines()
            .find(|line| line.contains(&format!("/pmem/{claim} ")))
            .unwrap_or_default();
        ensure!(mount.contains("dax=always"), "{claim} is not mounted with DAX: {mount}");
        let file = format!("/pmem/{claim}/data");
        let script = format!("head -c 8388608 /dev/urandom > {file}; sync; md5sum < {file}; md5sum < {file}");
        let sums = stage.in_pod(POD, &script).await?;
        let (first, second) = sums.trim().split_once('\n').context("md5sum said nothing")?;
        ensure!(first == second, "{claim}: read {second} after {first}");
        account.checked(format!("{claim}: mounted with dax=always; 8 MiB written and read back"));
    }
    Ok(())
}

async fn after(stage: &Stage, account: &mut Account) -> Result<()> {
    account.step("Capacity while the pod runs");
    let changed = |now: &Capacity| now.len() == stage.empty.len() && *now != stage.empty;
    let used = capacity::becomes(&stage.kubectl, "capacity shows the two volumes", changed).await?;
    Account::tell(&table(&used));
    ensure!(
        used.iter()
            .all(|(key, size)| stage.empty.get(key).is_some_and(|before| size <= before)),
        "capacity grew"
    );
    account.checked("capacity shows the space that the volumes take".to_owned());
    Ok(())
}

async fn delete(stage: &Stage, account: &mut Account, claims: &[Claim<'_>]) -> Result<()> {
    account.step("Pod and claims are deleted: bytes are zeroed, namespaces destroyed");
    let names = [
        volume_of(&stage.kubectl, CLAIMS[0].0).await?,
        volume_of(&stage.kubectl, CLAIMS[1].0).await?,
    ];
    stage.stop(POD, claims).await?;
    for name in &names {
        gone(&stage.kubectl, "pmemvolume", name).await?;
    }
    stage.is_as_before().await?;
    Account::tell(&table(&stage.empty));
    account.checked("capacity is back to the first byte".to_owned());
    account.checked("no namespace and no PmemVolume is left".to_owned());
    Ok(())
}

fn table(capacity: &Capacity) -> String {
    let line = |((node, numa, class), size): (&(String, String, String), &Bytes)| {
        format!("{node:<12} NUMA {numa:<5} {class:<16} {:>14} B  ({size})\n", size.get())
    };
    capacity.iter().map(line).collect()
}
