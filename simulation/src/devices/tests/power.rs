//! What a power loss takes, and what a reboot does not.

use crds::VolumeMode;
use node_driver::devices::Stage;
use placement::{Bytes, Mode};

use super::node::{Node, as_filesystem, bare, machine, target};
use crate::devices::{Fuse, Holds, Machine};

fn zeroed(is_flushed: bool) -> (Machine, fastrand::Rng) {
    let machine = machine(64);
    let devices = machine.devices(&Fuse::new());
    devices.create(&bare("v", 16)).unwrap();
    let raw = devices.open_raw("v").unwrap();
    raw.write_zeros(Bytes::ZERO, &vec![0; 16 << 20]).unwrap();
    if is_flushed {
        raw.flush().unwrap();
    }
    (machine, fastrand::Rng::with_seed(1))
}

fn holds(machine: &Machine) -> Holds {
    machine.truth().namespaces[0].holds
}

#[test]
fn zeros_that_were_not_flushed_may_be_lost() {
    for is_flushed in [true, false] {
        let mut zeros = 0;
        for seed in 0..20 {
            let (machine, mut rng) = zeroed(is_flushed);
            rng.seed(seed);
            machine.cut_power(&mut rng);
            zeros += u32::from(holds(&machine) == Holds::Zeros);
        }
        assert!(
            if is_flushed {
                zeros == 20
            } else {
                zeros > 0 && zeros < 20
            },
            "{zeros}"
        );
    }
}

#[test]
fn a_reboot_loses_nothing() {
    let (machine, _) = zeroed(false);
    assert_eq!(holds(&machine), Holds::Something, "not durable yet");
    machine.reboot();
    assert_eq!(holds(&machine), Holds::Zeros);
}

#[tokio::test]
async fn mounts_vanish_and_what_a_pod_wrote_stays() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    for round in 0..3 {
        let kubelet = node.kubelet(&Fuse::new(), as_filesystem());
        kubelet.stage("v").await.unwrap();
        kubelet.publish("v", false).await.unwrap();
        let before = (round > 0).then_some(round);
        assert_eq!(node.machine.read(&target("v")).unwrap(), before);
        node.machine.write(&target("v"), round + 1).unwrap();
        if round % 2 == 0 {
            node.machine.cut_power(&mut fastrand::Rng::with_seed(round));
        } else {
            node.machine.reboot();
        }
        assert!(node.machine.truth().mounts.is_empty());
        assert!(node.machine.read(&target("v")).is_err());
        assert_eq!(node.only("v").1, Stage::InUse);
    }
    node.is_fine();
}

#[tokio::test]
async fn what_comes_back_is_up_in_the_mode_that_is_written_in_it() {
    let node = Node::new();
    node.machine.devices(&Fuse::new()).create(&bare("raw", 16)).unwrap();
    node.make("configured", 20, VolumeMode::Fsdax).await;
    node.machine.reboot();
    let raw = node.only("raw").0.namespace;
    assert_eq!((raw.block, raw.usable), (None, None));
    assert!(node.only("configured").0.namespace.block.is_some());
}

/// The UUID of a volume follows from its id. So the kernel takes what an earlier namespace of the id left for that of the new one.
#[tokio::test]
async fn what_an_earlier_namespace_of_the_uuid_left_is_taken_for_a_mode() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    devices.create(&bare("v", 16)).unwrap();
    let raw = devices.open_raw("v").unwrap();
    raw.write_zeros(Bytes::ZERO, &vec![0; 16 << 20]).unwrap();
    raw.flush().unwrap();
    drop(raw);
    devices.configure("v", Mode::Sector).unwrap();
    devices.destroy("v", &[]).unwrap();
    devices.create(&bare("v", 16)).unwrap();
    assert!(node.only("v").0.namespace.block.is_none());
    node.machine.reboot();
    assert!(node.only("v").0.namespace.block.is_some());
    node.is_fine();
    devices.mark("v", Stage::HandedOut).unwrap();
    assert!(node.machine.violations()[0].contains("is handed out"));
}

/// The same seed, the same machine.
#[test]
fn chance_is_the_generators_alone() {
    let run = |seed| {
        let (machine, mut rng) = zeroed(false);
        rng.seed(seed);
        for _ in 0..5 {
            machine.foreign_create(&mut rng);
            machine.cut_power(&mut rng);
        }
        (machine.truth(), rng.u64(..))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
