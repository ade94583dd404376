//! Kill −9 or power loss at any point converges.

use crds::{Phase, VolumeMode};
use placement::{Bytes, Extent};
use proptest::prelude::*;

use crate::node::{Node, REGION};
use node_driver::devices::{NamespaceMode, Stage};
use node_driver::volumes::WorkResult;
use simulation::devices::{DeviceFault, Holds};

const OTHERS: Extent = Extent::new(Bytes::mib(0), Bytes::mib(16));
const STRANGERS: Extent = Extent::new(Bytes::mib(48), Bytes::mib(16));

/// Runs that are killed after so many effects: before, between or after any two of them.
fn runs() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
    prop::collection::vec((0_u64..60, any::<Option<u64>>()), 0..4)
}

fn deletions() -> impl Strategy<Value = Deletion> {
    prop::sample::select(vec![
        Deletion::HalfMade,
        Deletion::Used,
        Deletion::ByHandHalfMade,
        Deletion::ByHandUsed,
    ])
}

/// Some runs end with the power: then half a label may be written, and zeros that were not flushed are lost.
async fn run_and_kill(node: &Node, runs: &[(u64, Option<u64>)]) {
    for (effects, power) in runs {
        node.machine.set_fault(DeviceFault::LabelsTorn, power.is_some());
        let worker = node.driver_killed_after(*effects);
        // Whether it was killed or came to the end, the next run has to cope.
        if let Some(volume) = node.record.get("v") {
            let _result = worker.reconcile(volume).await;
        }
        let _result = worker.clear("v").await;
        if let Some(seed) = power {
            node.machine.cut_power(&mut fastrand::Rng::with_seed(*seed));
        }
        node.machine.set_fault(DeviceFault::LabelsTorn, false);
        assert!(node.namespaces("v").len() <= 1, "a second namespace");
    }
}

/// How the object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deletion {
    /// By DeleteVolume, while the volume is being made.
    HalfMade,
    /// By DeleteVolume, while it is used.
    Used,
    /// By hand, while the volume is being made.
    ByHandHalfMade,
    /// By hand, while it is used; it is made anew.
    ByHandUsed,
}

async fn story(
    mode: VolumeMode,
    making: Vec<(u64, Option<u64>)>,
    deletion: Deletion,
    erasing: Vec<(u64, Option<u64>)>,
) {
    let node = Node::new();
    node.machine
        .put_foreign("somebody", REGION, OTHERS, NamespaceMode::Fsdax);
    // A stranger's namespace has the volume's name.
    node.machine.put_foreign("v", REGION, STRANGERS, NamespaceMode::Fsdax);
    node.add_volume("v", 20, mode);
    run_and_kill(&node, &making).await;

    if matches!(deletion, Deletion::Used | Deletion::ByHandUsed) {
        is_made_and_used(&node).await;
    }
    if deletion == Deletion::ByHandUsed {
        let used = node.namespaces("v")[0].extent;
        node.record.remove("v");
        run_and_kill(&node, &erasing).await;
        assert!(node.is_filled(used), "a volume that was deleted by hand lost its data");
        node.add_volume("v", 20, mode);
        run_and_kill(&node, &making).await;
        let result = node.driver().reconcile(node.volume("v")).await.unwrap();
        assert_eq!(result, WorkResult::Settled);
        assert_eq!(node.status("v").phase, Some(Phase::Ready));
        assert!(node.is_filled(used), "a volume that was made anew lost its data");
    }

    let was_handed_out = node.namespaces("v").first().map(|found| found.extent);
    let was_handed_out = was_handed_out.filter(|_| node.stage("v") != Stage::Making);
    match deletion {
        Deletion::ByHandHalfMade if was_handed_out.is_none() => node.record.remove("v"),
        _ => node.delete("v"),
    }
    run_and_kill(&node, &erasing).await;
    if let Some(volume) = node.record.get("v") {
        assert_eq!(node.driver().reconcile(volume).await.unwrap(), WorkResult::Released);
    }
    node.driver().clear("v").await.unwrap();
    assert!(node.record.get("v").is_none());
    assert!(node.namespaces("v").is_empty(), "leaked");
    assert!(
        was_handed_out.is_none_or(|extent| node.is_zero(extent)),
        "freed before it was zero"
    );
    // Among others, somebody else's bytes are as they were.
    node.is_fine();
    assert_eq!((node.foreign("somebody"), node.foreign("v")), (1, 1));
}

async fn is_made_and_used(node: &Node) {
    let worker = node.driver();
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Settled);
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
    assert_eq!(node.stage("v"), Stage::HandedOut);
    let found = node.namespaces("v");
    assert!(found[0].usable.unwrap() >= Bytes::mib(20));
    let holds = node.machine.truth().of_volume("v").next().unwrap().0.holds;
    assert_eq!(holds, Holds::Blank, "an earlier tenant's bytes can be read");
    node.set_stage("v", Stage::InUse);
    node.fill("v");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn at_any_point_converges(
        sector in any::<bool>(), making in runs(), deletion in deletions(), erasing in runs()
    ) {
        let mode = if sector { VolumeMode::Sector } else { VolumeMode::Fsdax };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story(mode, making, deletion, erasing));
    }
}
