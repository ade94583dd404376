use placement::{Bytes, Extent, Region};
use proptest::prelude::*;
use serde_json::{from_value, json};

use super::*;

/// A node with one region on each NUMA node: free MiB.
fn node(free: &[(Option<u32>, u32)]) -> Node {
    let region = |(index, (numa, mib)): (usize, &(Option<u32>, u32))| Region {
        id: from_value(json!(format!("r{index}"))).unwrap(),
        numa: numa.map(NumaNode),
        alignment: from_value(json!(2 << 20)).unwrap(),
        free: vec![Extent::new(Bytes::ZERO, Bytes::mib(*mib))],
    };
    Node {
        regions: free.iter().enumerate().map(region).collect(),
        ..Node::default()
    }
}

fn request(mib: u32, numa: NumaWish) -> VolumeRequest {
    let parameters = crds::ClassParameters {
        numa,
        ..crds::ClassParameters::default()
    };
    parameters.request(Bytes::mib(mib), None)
}

fn together(mib: u32) -> VolumeRequest {
    request(mib, NumaWish::Together)
}

fn pod(claims: &[(&str, u32)]) -> BTreeMap<String, VolumeRequest> {
    let claim = |(name, mib): &(&str, u32)| ((*name).to_owned(), together(*mib));
    claims.iter().map(claim).collect()
}

fn choose(free: &Node, volumes: &[CompanionPlace], pods: &[&[(&str, u32)]]) -> Result<NumaChoice, NoNumaNode> {
    let companions = Companions {
        volumes: volumes.to_vec(),
        pods: pods.iter().map(|claims| pod(claims)).collect(),
    };
    choose_numa(together(60), free, &companions)
}

const ZERO: NumaChoice = NumaChoice::Node(NumaNode(0));
const ONE: NumaChoice = NumaChoice::Node(NumaNode(1));

fn two() -> Node {
    node(&[(Some(0), 200), (Some(1), 100)])
}

#[test]
fn other_wishes_are_the_answer() {
    let companions = Companions::default();
    let fixed = request(60, NumaWish::Node(NumaNode(1)));
    assert_eq!(choose_numa(fixed, &two(), &companions), Ok(ONE));
    assert_eq!(
        choose_numa(request(60, NumaWish::Any), &two(), &companions),
        Ok(NumaChoice::Any)
    );
}

#[test]
fn the_others_decide_where_they_are() {
    let on = |numa| CompanionPlace::On(NumaNode(numa));
    assert_eq!(choose(&two(), &[on(1), CompanionPlace::Untold], &[]), Ok(ONE));
    assert!(matches!(
        choose(&two(), &[on(0), on(1)], &[]),
        Err(NoNumaNode::Apart(_))
    ));
    let not_yet = choose(&two(), &[CompanionPlace::NotYet("v".into())], &[]);
    assert_eq!(not_yet, Err(NoNumaNode::NotYet("v".into())));
}

#[test]
fn where_the_platform_does_not_tell_all_is_together() {
    assert_eq!(
        choose(&node(&[(None, 100)]), &[], &[&[("b", 900)]]),
        Ok(NumaChoice::Any)
    );
}

#[test]
fn the_first_goes_where_all_fit() {
    assert_eq!(choose(&two(), &[], &[&[("b", 60)]]), Ok(ZERO));
    assert!(matches!(
        choose(&two(), &[], &[&[("b", 160)]]),
        Err(NoNumaNode::Space(_))
    ));
}

#[test]
fn a_claim_that_pods_share_counts_once() {
    assert_eq!(choose(&two(), &[], &[&[("b", 80)], &[("b", 80)]]), Ok(ZERO));
}

#[test]
fn a_pod_that_can_never_run_keeps_no_other_waiting() {
    assert_eq!(choose(&two(), &[], &[&[("huge", 900)], &[("b", 60)]]), Ok(ZERO));
    assert!(choose(&two(), &[], &[&[("huge", 900)]]).is_err());
}

proptest! {
    /// What is chosen holds all of the pod's claims in every order; if nothing is, then because there is no such NUMA node.
    #[test]
    fn all_companions_fit_where_the_first_goes(free in prop::collection::vec(10_u32..200, 1..4), own in 1_u32..90, others in prop::collection::vec(1_u32..90, 1..4)) {
        let free = node(&free.iter().zip(0..).map(|(mib, numa)| (Some(numa), *mib)).collect::<Vec<_>>());
        let names: Vec<String> = (0..others.len()).map(|number| number.to_string()).collect();
        let claims: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(others.iter().copied()).collect();
        let companions = Companions { volumes: vec![], pods: vec![pod(&claims)] };
        let all_fit_on = |numa| {
            let sizes = [own].into_iter().chain(others.iter().copied());
            let requests: Vec<VolumeRequest> = sizes.map(|mib| request(mib, NumaWish::Node(numa))).collect();
            free.fits(&requests).is_ok()
        };
        match choose_numa(together(own), &free, &companions) {
            Ok(NumaChoice::Node(numa)) => prop_assert!(all_fit_on(numa)),
            Ok(NumaChoice::Any) => prop_assert!(false, "the platform tells"),
            Err(_) => prop_assert!(free.regions.iter().filter_map(|region| region.numa).all(|numa| !all_fit_on(numa))),
        }
    }
}
