//! The CSI conformance suite against operator and node driver.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::harness::test_cluster::TestCluster;

/// Why csi-sanity skips tests; `docs/csi-conformance.md` has the reason why that is right.
const REASONS: [&str; 19] = [
    "Controller Publish, UnpublishVolume not supported",
    "ControllerExpandVolume not supported",
    "ControllerGetVolumeHealth not supported",
    "ControllerListVolumeHealth not supported",
    "ControllerModifyVolume not supported",
    "ControllerPublishVolume not supported",
    "ControllerUnpublishVolume not supported",
    "CreateSnapshot not supported",
    "DeleteSnapshot not supported",
    "GetSnapshot not supported",
    "GroupControllerService not supported",
    "ListSnapshots not supported",
    "Modify Volume not supported",
    "Modify volume not supported",
    "NodeExpandVolume not supported",
    "NodeGetStorageHealth not supported",
    "NodeGetVolumeHealth not supported",
    "Snapshot not supported",
    "Volume Cloning not supported",
];

/// csi-sanity passes on the node with persistent memory, against its driver and an operator beside it, and skips only
/// what is documented.
pub(super) async fn csi_sanity_passes(cluster: &mut TestCluster) -> Result<()> {
    let report = cluster.started()?.csi_sanity().await?;
    let mut lines = report.lines();
    let summary = lines.rfind(|line| line.contains(" Passed | "));
    let summary = summary.with_context(|| format!("csi-sanity did not end:\n{report}"))?;
    println!("  csi-sanity: {summary}");
    ensure!(
        summary.contains("SUCCESS") && summary.contains(" 0 Failed"),
        "csi-sanity failed:\n{report}"
    );
    let skipped = skipped(&report);
    println!("  csi-sanity skipped: {skipped:?}");
    let unknown: Vec<&&str> = skipped.keys().filter(|reason| !REASONS.contains(reason)).collect();
    ensure!(
        unknown.is_empty(),
        "docs/csi-conformance.md does not say why these are skipped: {unknown:?}"
    );
    Ok(())
}

/// How many tests were skipped, by the reason that the suite gives.
fn skipped(report: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    let reasons = report.lines().filter_map(|line| line.trim().strip_prefix("[SKIPPED] "));
    for reason in reasons.filter(|reason| !reason.starts_with("in [")) {
        *counts.entry(reason).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted() {
        let report = "S [SKIPPED] [0.001 seconds]\n  [SKIPPED] in [BeforeEach] - x.go:1\n  [SKIPPED] No snapshots\n\
                      S [SKIPPED] [0.001 seconds]\n  [SKIPPED] No snapshots\n";
        assert_eq!(skipped(report), BTreeMap::from([("No snapshots", 2)]));
    }
}
