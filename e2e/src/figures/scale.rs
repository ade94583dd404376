//! How large a benchmark with hollow nodes is.

use clap::Args;

/// How many nodes and pods there are, where a benchmark can be told.
#[derive(Debug, Args)]
pub(super) struct Scale {
    /// burst, claims-throughput: how many nodes [default: 200, 1000]
    #[arg(long)]
    nodes: Option<u32>,
    /// burst, claims-throughput: how many pods [default: 2000, 100]
    #[arg(long)]
    pods: Option<u32>,
}

impl Scale {
    /// Nodes and pods, these unless told otherwise.
    pub(super) fn or(&self, nodes: u32, pods: u32) -> (u32, u32) {
        (self.nodes.unwrap_or(nodes), self.pods.unwrap_or(pods))
    }
}
