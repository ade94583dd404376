//! Kill −9 or power loss at any point converges.

use crds::{Phase, VolumeMode};
use placement::{Bytes, Extent};
use proptest::prelude::*;

use crate::model::{Node, OLD};
use node_driver::devices::NamespaceMode;
use node_driver::volumes::WorkResult;

const OTHERS: Extent = Extent::new(Bytes::mib(0), Bytes::mib(16));

/// Runs that are killed after so many effects: before, between or after any two of them.
fn runs() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0_i64..60, 0..4)
}

async fn run_and_kill(node: &Node, runs: &[i64]) {
    for effects in runs {
        let Some(volume) = node.record.get("v") else {
            return;
        };
        // Whether it was killed or came to the end, the next run has to cope.
        let _result = node.driver_killed_after(*effects).reconcile(volume).await;
        assert!(node.namespaces("v").len() <= 1, "a second namespace");
    }
}

async fn story(mode: VolumeMode, making: Vec<i64>, deleted_half_made: bool, erasing: Vec<i64>) {
    let node = Node::new();
    node.put_namespace("somebody", 0, 16, NamespaceMode::Fsdax);
    node.add_volume("v", 20, mode);
    run_and_kill(&node, &making).await;

    if !deleted_half_made {
        let worker = node.driver();
        assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Settled);
        assert_eq!(node.status("v").phase, Some(Phase::Ready));
        let found = node.namespaces("v");
        assert_eq!(found.len(), 1);
        assert!(found[0].usable.unwrap() >= Bytes::mib(20));
        assert!(node.is_all(found[0].extent, 0), "an earlier tenant's bytes can be read");
        node.fill(found[0].extent, 7);
    }

    let taken = node.namespaces("v").first().map(|found| found.extent);
    node.delete("v");
    run_and_kill(&node, &erasing).await;
    if let Some(volume) = node.record.get("v") {
        assert_eq!(node.driver().reconcile(volume).await.unwrap(), WorkResult::Released);
    }
    assert!(node.record.get("v").is_none());
    assert!(node.namespaces("v").is_empty(), "leaked");
    assert!(
        taken.is_none_or(|extent| node.is_all(extent, 0)),
        "freed before it was zero"
    );
    assert!(node.is_all(OTHERS, OLD), "somebody else's bytes were touched");
    assert_eq!(node.namespaces("somebody").len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn at_any_point_converges(
        sector in any::<bool>(), making in runs(), deleted_half_made in any::<bool>(), erasing in runs()
    ) {
        let mode = if sector { VolumeMode::Sector } else { VolumeMode::Fsdax };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story(mode, making, deleted_half_made, erasing));
    }
}
