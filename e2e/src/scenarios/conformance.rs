//! The CSI conformance suite against operator and node driver.

use anyhow::{Result, ensure};

use crate::stage::Stage;

/// Tests that csi-sanity has, and that do not apply; `docs/csi-conformance.md` says why.
const SKIPPED: &str = "";

/// csi-sanity passes on the node with persistent memory, against its driver and an operator beside it.
pub(super) async fn csi_sanity_passes(stage: &mut Stage) -> Result<()> {
    let report = stage.cluster()?.csi_sanity(SKIPPED).await?;
    let summary = report
        .lines()
        .rev()
        .find(|line| line.contains("Passed"))
        .unwrap_or_default();
    println!("  csi-sanity: {summary}");
    ensure!(summary.contains("0 Failed"), "csi-sanity failed:\n{report}");
    Ok(())
}
