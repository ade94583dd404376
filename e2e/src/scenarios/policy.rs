//! What the API server keeps apart.

use anyhow::{Result, ensure};

use crate::harness::test_cluster::TestCluster;

const DRIVER: &str = "--as=system:serviceaccount:daxfit-system:daxfit-node-driver";

/// The token of a driver's pod names its node; writes about another one are denied.
pub(super) async fn a_driver_cannot_write_what_belongs_to_another_node(cluster: &mut TestCluster) -> Result<()> {
    let patch = r#"{"metadata":{"annotations":{"example.com/tried":"yes"}}}"#;
    let node = cluster.node()?;
    let from = |node: &str| format!("--as-user-extra=authentication.kubernetes.io/node-name={node}");
    let write = async |extra: &str| {
        let arguments = [
            "patch",
            "pmemnode",
            &node,
            "--type=merge",
            "-p",
            patch,
            "--dry-run=server",
            DRIVER,
            extra,
        ];
        cluster.kubectl.run(&arguments).await
    };
    let own = write(&from(&node)).await;
    ensure!(own.is_ok(), "the node's own driver is refused: {own:?}");
    let other = write(&from("another")).await;
    let refusal = other.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(
        refusal.contains("may not write what belongs to node"),
        "another node's driver is not refused: {refusal:?}"
    );
    Ok(())
}
