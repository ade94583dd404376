//! Many pods at the same moment.

use anyhow::{Result, anyhow, ensure};
use placement::{Bytes, MapLocation, Mode, NumaWish, VolumeRequest};
use serde_json::Value;

use super::empty_region::empty_region;
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use crate::harness::workload::{self, Claim};

/// Each region holds one of them.
const SIZE: Bytes = Bytes::mib(400);
const NAMES: [&str; 4] = ["burst-0", "burst-1", "burst-2", "burst-3"];
const FIT: usize = 2;

/// Four pods come at once, and there is room for two: two run, no volume is refused on the way, events on the others
/// have the reason, and they run when the first are gone.
pub(super) async fn of_a_burst_exactly_those_run_that_fit(cluster: &mut TestCluster) -> Result<()> {
    let size = SIZE.get().to_string();
    let claims = NAMES.map(|name| Claim::new(name, &size, "daxfit-ext4"));
    let pod = |claim: &Claim| workload::pod(claim.name, cluster.image(), std::slice::from_ref(claim));
    let objects: Vec<Value> = claims.iter().map(Claim::object).chain(claims.iter().map(pod)).collect();
    cluster.kubectl.apply(&objects).await?;
    let first = run(cluster, &NAMES, FIT).await?;
    let (running, waiting): (Vec<&Claim>, Vec<&Claim>) = claims.iter().partition(|claim| first.contains(&claim.name));
    let largest = format!("largest extent {}", largest_beside_one()?);
    for claim in &waiting {
        workload::event(&cluster.kubectl, claim.name, &["asked 400 MiB", &largest]).await?;
    }
    // Which pods there is room for was decided before any volume was made.
    nothing_was_refused(cluster).await?;
    for claim in &running {
        cluster
            .kubectl
            .run(&["delete", "pod,pvc", claim.name, "--wait=false"])
            .await?;
    }
    let rest: Vec<&str> = waiting.iter().map(|claim| claim.name).collect();
    run(cluster, &rest, rest.len()).await?;
    nothing_was_refused(cluster).await?;
    for claim in &waiting {
        cluster
            .kubectl
            .run(&["delete", "pod,pvc", claim.name, "--wait=false"])
            .await?;
    }
    for claim in &claims {
        workload::gone(&cluster.kubectl, "pvc", claim.name).await?;
    }
    Ok(())
}

/// Usable bytes of the largest volume in a region that holds one of them.
fn largest_beside_one() -> Result<Bytes> {
    let mode = Mode::Fsdax(MapLocation::Dev);
    let mut region = empty_region()?;
    region.place(&VolumeRequest {
        required: SIZE,
        limit: None,
        mode,
        numa: NumaWish::Any,
    })?;
    Ok(region.largest_usable(mode))
}

/// Waits until `many` of the pods run, and returns them. No more of them may.
async fn run<'a>(cluster: &TestCluster, names: &[&'a str], many: usize) -> Result<Vec<&'a str>> {
    until(&format!("{many} pods of {names:?} run"), HANG_LIMIT, async || {
        let pods = match cluster.kubectl.items(&["pods"]).await {
            Ok(pods) => pods,
            Err(error) => return Probe::NotYet(error),
        };
        let runs = |name: &&&str| {
            let mut pods = pods.iter();
            pods.any(|pod| pod["metadata"]["name"] == ***name && pod["status"]["phase"] == "Running")
        };
        let running: Vec<&str> = names.iter().filter(runs).copied().collect();
        match running.len().cmp(&many) {
            std::cmp::Ordering::Less => Probe::NotYet(anyhow!("only {running:?}")),
            std::cmp::Ordering::Equal => Probe::Ready(running),
            std::cmp::Ordering::Greater => Probe::Never(anyhow!("more than that: {running:?}")),
        }
    })
    .await
}

/// No CreateVolume of the burst was refused for want of space.
async fn nothing_was_refused(cluster: &TestCluster) -> Result<()> {
    let failed = cluster
        .kubectl
        .items(&["events", "--field-selector", "reason=ProvisioningFailed"])
        .await?;
    let of_the_burst = |event: &&Value| {
        let claim = event["involvedObject"]["name"].as_str().unwrap_or_default();
        NAMES.contains(&claim)
            && event["message"]
                .as_str()
                .is_some_and(|text| text.contains("ResourceExhausted"))
    };
    let refused: Vec<&Value> = failed.iter().filter(of_the_burst).collect();
    ensure!(refused.is_empty(), "volumes were refused: {refused:#?}");
    Ok(())
}
