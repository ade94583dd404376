//! How things really are, and how watches show them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use cluster::ObjectKey;
use cluster::names::SELECTED_NODE;
use cluster::watch::Indexes;
use crds::{NumaChoice, PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use placement::{Node, NumaNode, NumaWish, PendingVolume, Policy, RegionId, VolumeRequest};

use super::NODES;
use extender::decide::NodeChoice;
use extender::state::State;

use crate::testing::{claim, node, volume};

/// A claim as it really is.
#[derive(Clone, Default)]
pub(super) struct RealClaim {
    pub(super) mib: u32,
    /// Whether its class wishes it on one NUMA node with those of its pod that wish so too.
    pub(super) together: bool,
    pub(super) selected_node: Option<&'static str>,
    pub(super) volume: Option<RealVolume>,
    pub(super) bound: bool,
    pub(super) deleted: bool,
}

#[derive(Clone, Copy)]
pub(super) struct RealVolume {
    pub(super) node: &'static str,
    /// What the operator made of the wish of its class.
    pub(super) numa: NumaWish,
    /// How many there were before.
    pub(super) number: usize,
    /// The revision of its node that contains it.
    pub(super) revision: Option<i64>,
    /// The NUMA node of its region, once it has one.
    pub(super) region: Option<NumaNode>,
    /// Whether a watch has shown it at all.
    pub(super) seen: bool,
}

#[derive(Clone)]
pub(super) struct RealPod {
    pub(super) claims: Vec<usize>,
    /// The node that kube-scheduler took, before anybody can see it.
    pub(super) taken: Option<&'static str>,
}

pub(super) struct RealNode {
    pub(super) free: Node,
    pub(super) revision: i64,
}

pub(super) struct Model {
    pub(super) state: State,
    pub(super) choice: NodeChoice,
    pub(super) now: Instant,
    pub(super) claims: Vec<RealClaim>,
    pub(super) pods: Vec<RealPod>,
    pub(super) nodes: BTreeMap<&'static str, RealNode>,
}

pub(super) fn name(claim: usize) -> String {
    format!("c{claim}")
}

pub(super) fn volume_name(claim: usize) -> String {
    format!("pvc-uid-of-c{claim}")
}

impl RealClaim {
    pub(super) fn request(&self) -> VolumeRequest {
        let numa = if self.together {
            NumaWish::Together
        } else {
            NumaWish::Any
        };
        let request = volume("w", "n", self.mib).spec.request();
        VolumeRequest { numa, ..request }
    }
}

impl RealVolume {
    /// What the volume of `claim` takes.
    pub(super) fn pending(&self, claim: &RealClaim) -> PendingVolume {
        let request = claim.request();
        PendingVolume {
            request: VolumeRequest {
                numa: self.numa,
                ..request
            },
            region: None,
        }
    }
}

impl Model {
    pub(super) fn new(sizes: &[(u32, bool)], pods: &[Vec<usize>], candidates: usize) -> Self {
        let holes: [&[&[(u32, u32)]]; 3] = [&[&[(0, 128)], &[(0, 64)]], &[&[(0, 96), (128, 32)]], &[&[(64, 160)]]];
        let real = |holes: &[&[(u32, u32)]]| RealNode {
            free: node("n", 1, holes).status.unwrap().to_placement(),
            revision: 1,
        };
        let pod = |claims: &Vec<usize>| {
            let claims: BTreeSet<usize> = claims.iter().map(|claim| claim % sizes.len()).collect();
            RealPod {
                claims: claims.into_iter().collect(),
                taken: None,
            }
        };
        let pods: Vec<RealPod> = pods.iter().map(pod).collect();
        let claim = |(index, (mib, together)): (usize, &(u32, bool))| RealClaim {
            mib: *mib,
            // The extender sees one pod at a time: what else a pod wishes that shares such a claim, it does not know.
            together: *together && pods.iter().filter(|pod| pod.claims.contains(&index)).count() == 1,
            ..RealClaim::default()
        };
        let claims: Vec<RealClaim> = sizes.iter().enumerate().map(claim).collect();
        let mut model = Self {
            state: State::default(),
            choice: NodeChoice {
                policy: Policy::Pack,
                candidates,
            },
            now: Instant::now(),
            pods,
            claims,
            nodes: NODES.into_iter().zip(holes.into_iter().map(real)).collect(),
        };
        model.restart();
        model
    }

    pub(super) fn show_claim(&mut self, which: usize) {
        let real = &self.claims[which];
        let class = if real.together { "together" } else { "fsdax" };
        let mut shown = claim("ns", &name(which), class, &format!("{}Mi", real.mib));
        if real.deleted {
            return Indexes::<PersistentVolumeClaim>::delete(&mut self.state, &ObjectKey::new("ns", &name(which)));
        }
        let annotation = |node: &str| [(SELECTED_NODE.to_owned(), node.to_owned())].into();
        shown.metadata.annotations = real.selected_node.map(annotation);
        shown.spec.as_mut().unwrap().volume_name = real.bound.then(|| volume_name(which));
        self.state.apply(&shown);
    }

    pub(super) fn show_node(&mut self, name: &'static str) {
        let real = &self.nodes[name];
        let mib = |bytes: placement::Bytes| u32::try_from(bytes.get() >> 20).unwrap();
        let regions = real.free.regions.iter();
        let extents: Vec<Vec<(u32, u32)>> = regions
            .map(|region| {
                region
                    .free
                    .iter()
                    .map(|hole| (mib(hole.start), mib(hole.size)))
                    .collect()
            })
            .collect();
        let regions: Vec<&[(u32, u32)]> = extents.iter().map(Vec::as_slice).collect();
        let shown: PmemNode = node(name, real.revision, &regions);
        self.state.apply(&shown);
    }

    pub(super) fn show_volume(&mut self, claim: usize) {
        if let Some(real) = &mut self.claims[claim].volume {
            real.seen = true;
            let real = *real;
            let mut shown: PmemVolume = volume(&volume_name(claim), real.node, self.claims[claim].mib);
            shown.spec.numa = match real.numa {
                NumaWish::Any | NumaWish::Together => NumaChoice::Any,
                NumaWish::Node(numa) => NumaChoice::Node(numa),
            };
            let status = shown.status.get_or_insert_default();
            status.layout_revision = real.revision;
            status.region = real.region.map(|numa| RegionId(format!("r{numa}")));
            self.state.apply(&shown);
        }
    }

    pub(super) fn claims_that(&self, are: impl Fn(&RealClaim) -> bool) -> Vec<usize> {
        (0..self.claims.len())
            .filter(|claim| are(&self.claims[*claim]))
            .collect()
    }

    pub(super) fn pods_that(&self, are: impl Fn(&RealPod) -> bool) -> Vec<usize> {
        (0..self.pods.len()).filter(|pod| are(&self.pods[*pod])).collect()
    }

    pub(super) fn undecided(&self, claim: usize) -> bool {
        let claim = &self.claims[claim];
        !claim.deleted && !claim.bound && claim.selected_node.is_none() && claim.volume.is_none()
    }

    /// The nodes that the filters of kube-scheduler itself leave: it knows what it took, also for shared claims.
    pub(super) fn candidates(&self, pod: usize) -> Vec<&'static str> {
        let claims = &self.pods[pod].claims;
        let others = self
            .pods
            .iter()
            .filter(|other| other.claims.iter().any(|claim| claims.contains(claim)));
        let taken = others.filter_map(|other| other.taken);
        let shown = claims.iter().filter_map(|claim| self.claims[*claim].selected_node);
        let fixed: BTreeSet<_> = taken.chain(shown).collect();
        NODES
            .into_iter()
            .filter(|node| fixed.iter().all(|only| only == node))
            .collect()
    }
}
