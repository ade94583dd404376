//! Volumes of every kind, as the pod and the kernel see them.

use anyhow::{Context, Result, ensure};
use placement::{Bytes, MapLocation, Mode};
use serde_json::json;

use super::empty_region::empty_region;
use crate::harness::test_cluster::TestCluster;
use crate::harness::workload::{self, Claim, bytes_at, volume_of};

const FSDAX: Mode = Mode::Fsdax(MapLocation::Dev);

/// Two regions are ready and published to the byte.
pub(super) async fn an_unprepared_region_is_named_and_left_alone(cluster: &mut TestCluster) -> Result<()> {
    let fsdax = empty_region()?.largest_usable(FSDAX);
    let sector = empty_region()?.largest_usable(Mode::Sector);
    for ((node, numa, class), size) in &cluster.empty {
        let expected = if class == "daxfit-sector" { sector } else { fsdax };
        ensure!(
            *size == expected,
            "{node}, NUMA {numa}, {class}: {size} is published, {expected} is there"
        );
    }
    let node = cluster.kubectl.json(&["get", "pmemnode", &cluster.node()?]).await?;
    let regions = node["status"]["regions"]
        .as_array()
        .context("the PmemNode has no regions")?;
    let unprepared: Vec<_> = regions
        .iter()
        .filter(|region| region["state"] == "Unprepared")
        .collect();
    ensure!(unprepared.len() == 1, "one region has no labels: {regions:#?}");
    let message = unprepared[0]["message"].as_str().unwrap_or_default();
    ensure!(
        message.contains("ndctl init-labels"),
        "the message names no command: {message:?}"
    );
    let conditions = node["status"]["conditions"].to_string();
    ensure!(
        conditions.contains("ndctl init-labels"),
        "no condition names the command: {conditions}"
    );
    let device = unprepared[0]["device"].as_str().context("the region has no device")?;
    let labels = cluster.on_node(&format!("ndctl list -R -D -r {device}")).await?;
    ensure!(labels.contains(device), "the region vanished: {labels}");
    Ok(())
}

/// The main job: sizes are exact, the names agree, and DAX is in effect.
pub(super) async fn two_claims_of_a_pod_get_exactly_their_bytes(cluster: &mut TestCluster) -> Result<()> {
    let claims = [
        Claim::new("exact", "29360128", "daxfit-ext4"),
        Claim::new("hundred", "100M", "daxfit-ext4"),
    ];
    cluster.start("writer", &claims).await?;
    has_its_bytes(cluster, "exact", Bytes::mib(28)).await?;
    has_its_bytes(cluster, "hundred", Bytes::try_from(100_000_000_i64)?).await?;
    cluster.stop("writer", &claims).await
}

/// Namespace, PmemVolume and the pod's mount of one claim.
async fn has_its_bytes(cluster: &TestCluster, claim: &str, asked: Bytes) -> Result<()> {
    let volume = volume_of(&cluster.kubectl, claim).await?;
    let namespace = cluster.namespace(&volume).await?;
    let usable = Bytes::try_from(namespace.size)?;
    ensure!(usable >= asked, "{claim}: {usable} is less than {asked}");
    ensure!(
        usable < asked.plus(Bytes::mib(2)),
        "{claim}: {usable} is a whole step more than {asked}"
    );
    let object = cluster.kubectl.json(&["get", "pmemvolume", &volume]).await?;
    ensure!(
        bytes_at(&object, "/status/usable")? == usable,
        "{claim}: the PmemVolume has another size: {object}"
    );
    let mount = format!("grep ' /pmem/{claim} ' /proc/mounts");
    let mount = cluster.in_pod("writer", &mount).await?;
    ensure!(mount.contains("dax=always"), "{claim}: {mount}");
    ensure!(
        mount.contains(&namespace.blockdev),
        "{claim} is not on {}: {mount}",
        namespace.blockdev
    );
    let write = format!("echo {claim} > /pmem/{claim}/f && cat /pmem/{claim}/f");
    let written = cluster.in_pod("writer", &write).await?;
    ensure!(written.trim() == claim, "{claim}: read {written:?}");
    Ok(())
}

/// 1 MiB is served from the smallest namespace that the kernel makes.
pub(super) async fn the_smallest_claim_takes_the_smallest_namespace(cluster: &mut TestCluster) -> Result<()> {
    let claims = [Claim::new("small", "1Mi", "daxfit-ext4")];
    cluster.start("small", &claims).await?;
    let volume = volume_of(&cluster.kubectl, "small").await?;
    let object = cluster.kubectl.json(&["get", "pmemvolume", &volume]).await?;
    ensure!(
        bytes_at(&object, "/status/footprint/size")? == Bytes::mib(16),
        "{object}"
    );
    cluster.in_pod("small", "echo fits > /pmem/small/f").await?;
    cluster.stop("small", &claims).await
}

/// Every class, a raw block volume of exactly the size, and a read-only mount.
pub(super) async fn xfs_sector_and_raw_block_work_side_by_side(cluster: &mut TestCluster) -> Result<()> {
    let claims = [
        Claim::new("on-xfs", "320Mi", "daxfit-xfs"),
        Claim::new("sector", "64Mi", "daxfit-sector"),
        Claim {
            block: true,
            ..Claim::new("block", "30Mi", "daxfit-ext4")
        },
    ];
    cluster.start("mixed", &claims).await?;
    let mounts = cluster.in_pod("mixed", "grep /pmem/ /proc/mounts").await?;
    let line = |claim: &str| {
        mounts
            .lines()
            .find(|line| line.contains(&format!("/pmem/{claim} ")))
            .unwrap_or_default()
    };
    ensure!(
        line("on-xfs").contains(" xfs ") && line("on-xfs").contains("dax=always"),
        "{mounts}"
    );
    ensure!(
        line("sector").contains(" ext4 ") && !line("sector").contains("dax"),
        "{mounts}"
    );
    let size = cluster.in_pod("mixed", "blockdev --getsize64 /pmem/block").await?;
    ensure!(
        size.trim() == Bytes::mib(30).get().to_string(),
        "the pod sees {size} bytes of 30 MiB"
    );
    let namespace = cluster.namespace(&volume_of(&cluster.kubectl, "sector").await?).await?;
    ensure!(namespace.mode == "sector", "{namespace:?}");
    reads_only(cluster, &claims[0]).await?;
    cluster.stop("mixed", &claims).await
}

/// A second pod on the same node mounts the volume read-only.
async fn reads_only(cluster: &TestCluster, claim: &Claim<'_>) -> Result<()> {
    cluster.in_pod("mixed", "echo shared > /pmem/on-xfs/f").await?;
    cluster.kubectl.run(&["delete", "pod", "mixed", "--wait=true"]).await?;
    let mut pod = workload::pod("mixed", cluster.image(), std::slice::from_ref(claim));
    pod["spec"]["containers"][0]["volumeMounts"][0]["readOnly"] = json!(true);
    pod["spec"]["volumes"][0]["persistentVolumeClaim"]["readOnly"] = json!(true);
    cluster.kubectl.apply(&[pod]).await?;
    workload::running(&cluster.kubectl, "mixed").await?;
    let read = cluster
        .in_pod("mixed", "cat /pmem/on-xfs/f; ! echo more > /pmem/on-xfs/f")
        .await?;
    ensure!(read.trim() == "shared", "read {read:?}");
    Ok(())
}

/// A raw block volume shows zeros where another tenant wrote.
pub(super) async fn bytes_of_an_earlier_tenant_are_gone(cluster: &mut TestCluster) -> Result<()> {
    let secret = Claim {
        block: true,
        ..Claim::new("secret", "40Mi", "daxfit-ext4")
    };
    cluster.start("earlier", std::slice::from_ref(&secret)).await?;
    let fill = "yes secret | head -c 41943040 | dd of=/pmem/secret bs=1M conv=fsync 2>/dev/null && grep -c secret /pmem/secret";
    let written = cluster.in_pod("earlier", fill).await?;
    ensure!(written.trim() != "0", "the secret was not written");
    cluster.stop("earlier", std::slice::from_ref(&secret)).await?;
    let next = Claim {
        block: true,
        ..Claim::new("next", "40Mi", "daxfit-ext4")
    };
    cluster.start("later", std::slice::from_ref(&next)).await?;
    let left = cluster.in_pod("later", "tr -d '\\000' < /pmem/next | wc -c").await?;
    ensure!(left.trim() == "0", "{left} bytes are not zero");
    cluster.stop("later", std::slice::from_ref(&next)).await
}

/// Immediate binding works: the operator picks the node.
pub(super) async fn an_immediate_claim_is_bound_without_a_pod(cluster: &mut TestCluster) -> Result<()> {
    let class = workload::class("immediate", "1", "Immediate");
    cluster
        .kubectl
        .apply(&[class, Claim::new("now", "50Mi", "immediate").object()])
        .await?;
    workload::bound(&cluster.kubectl, "now").await?;
    let volume = volume_of(&cluster.kubectl, "now").await?;
    cluster.namespace(&volume).await?;
    let object = cluster.kubectl.json(&["get", "pmemvolume", &volume]).await?;
    ensure!(object["spec"]["numa"] == "1", "{object}");
    cluster.kubectl.run(&["delete", "pvc", "now"]).await?;
    cluster.kubectl.run(&["delete", "storageclass", "immediate"]).await?;
    Ok(())
}
