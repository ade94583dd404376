//! Tells the cluster that the driver of this node lives, by its Lease.

use heartbeat::Heartbeat;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Resource};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Renews the Lease of the driver of `node` in `namespace`, until `stop`. It belongs to the Node and goes with it.
pub async fn run(client: kube::Client, namespace: String, node: String, stop: CancellationToken) {
    let lease = Heartbeat::new(client.clone(), &namespace, &crds::driver_lease(&node), &node);
    let nodes: Api<Node> = Api::all(client);
    let beat_for_ever = async {
        loop {
            if let Err(error) = beat(&lease, &nodes, &node).await {
                let error = program::chain(&error);
                tracing::warn!(error, "the Lease of this driver is not renewed; trying again");
            }
            sleep(heartbeat::EVERY).await;
        }
    };
    stop.run_until_cancelled(beat_for_ever).await;
}

async fn beat(lease: &Heartbeat, nodes: &Api<Node>, node: &str) -> kube::Result<()> {
    let now = heartbeat::now();
    if lease.renew(&now).await? {
        return Ok(());
    }
    let owner = nodes.get(node).await?.owner_ref(&());
    lease.create(&now, owner).await
}
