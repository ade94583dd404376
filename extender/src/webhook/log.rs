//! What is logged of a decision.

use cluster::Pod;

use crate::decide::Filtered;

/// So many nodes are named: enough to understand one pod, little enough for a large cluster.
const NAMED: usize = 4;

/// Logs where a pod may go, of how many candidates, and why not elsewhere.
pub(super) fn log_filtered(pod: &Pod, filtered: &Filtered, of: usize) {
    let refused = filtered.failed.iter().chain(&filtered.unresolvable);
    let refused: Vec<String> = refused
        .take(NAMED)
        .map(|(node, refusal)| format!("{node}: {refusal}"))
        .collect();
    let passed = &filtered.passed[..filtered.passed.len().min(NAMED)];
    tracing::info!(
        namespace = &*pod.namespace,
        pod = &*pod.name,
        passed = filtered.passed.len(),
        of,
        nodes = ?passed,
        ?refused,
        "filtered"
    );
}
