//! What it costs to pass more than one node for a pod: a burst whose decisions become visible late.
//!
//! Each pod is decided for while the decisions of the last [`BEHIND`] pods cannot be seen yet. A pod is refused in vain if
//! a node has room for it as soon as one knows which nodes those pods really took.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::Context;
use cluster::watch::Indexes;
use cluster::{Pod, PodVolume, ReadObjects};
use crds::{PmemNode, PmemVolume};
use extender::decide::{NodeChoice, PreparedRequirements, filter, filter_and_reserve};
use extender::state::State;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use placement::{Node, Policy, VolumeRequest};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cluster::mix;

const NODES: u64 = 50;
const REGION_MIB: u64 = 128 << 10;
const BEHIND: usize = 50;
/// Of all space, asked for in the whole burst.
const FILL_PERCENT: u64 = 97;

/// A claim of a pod.
struct ClaimOfPod {
    name: String,
    mib: u64,
}

/// A pod and the node that kube-scheduler took for it.
struct Decided {
    claims: Vec<ClaimOfPod>,
    node: usize,
}

/// The state of an extender, and the nodes as they really are.
struct Cluster {
    state: State,
    nodes: Vec<(Node, i64)>,
}

/// Prints one line for each number of candidates.
pub fn figures() -> anyhow::Result<()> {
    for candidates in [1, 2, 4, 8] {
        let (pods, in_vain) = burst(candidates)?;
        let percent = 100.0 * in_vain as f64 / pods as f64;
        println!("figure extender_refused_in_vain_with_{candidates}_candidates {percent:.2} %");
    }
    Ok(())
}

fn burst(candidates: usize) -> anyhow::Result<(u64, u64)> {
    let names: Vec<String> = (0..NODES).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut late, mut prompt) = (Cluster::new()?, Cluster::new()?);
    let mut unseen: VecDeque<Decided> = VecDeque::new();
    let (mut pods, mut in_vain, mut asked) = (0, 0, 0);
    while asked * 100 < NODES * REGION_MIB * FILL_PERCENT {
        let claims = claims_of(pods);
        asked += claims.iter().map(|claim| claim.mib).sum::<u64>();
        let pod = late.add(&claims, pods)?;
        prompt.add(&claims, pods)?;
        let choice = NodeChoice {
            policy: Policy::Pack,
            candidates,
        };
        let filtered = filter_and_reserve(
            &mut late.state,
            &ReadObjects::default(),
            &pod,
            &names,
            choice,
            Instant::now(),
        );
        let passed = filtered.ok().context("everything is indexed")?.passed;
        if passed.is_empty() {
            in_vain += u64::from(prompt.has_room(&pod, &names)?);
        } else {
            // Which of them kube-scheduler prefers is none of the extender's business: by chance.
            let node = passed[usize::try_from(mix(pods))? % passed.len()];
            let node = names
                .iter()
                .position(|name| *name == node)
                .context("a node that was sent")?;
            prompt.carry_out(&claims, node)?;
            unseen.push_back(Decided { claims, node });
        }
        if unseen.len() > BEHIND
            && let Some(taken) = unseen.pop_front()
        {
            late.carry_out(&taken.claims, taken.node)?;
        }
        pods += 1;
    }
    Ok((pods, in_vain))
}

/// One to three claims of 0.5 to 16 GiB.
fn claims_of(pod: u64) -> Vec<ClaimOfPod> {
    let size = |claim| {
        let chance = mix(pod * 8 + claim);
        (512 << (chance % 5)) + (chance >> 8) % 512
    };
    let claims = 1 + mix(pod) % 3;
    let claims = (0..claims).map(|claim| ClaimOfPod {
        name: format!("c{pod}-{claim}"),
        mib: size(claim),
    });
    claims.collect()
}

impl Cluster {
    fn new() -> anyhow::Result<Self> {
        let mut state = State::default();
        let class = json!({ "metadata": { "name": "fsdax" }, "provisioner": crds::DRIVER_NAME, "volumeBindingMode": "WaitForFirstConsumer" });
        state.apply(&object::<StorageClass>(class)?);
        let mut cluster = Self {
            state,
            nodes: Vec::new(),
        };
        for number in 0..usize::try_from(NODES)? {
            let free = json!([{ "start": 0, "size": REGION_MIB << 20 }]);
            let node = cluster.report(number, 1, &free)?;
            cluster.nodes.push((node.status.context("a status")?.to_placement(), 1));
        }
        Ok(cluster)
    }

    fn report(&mut self, number: usize, revision: i64, free: &Value) -> anyhow::Result<PmemNode> {
        let region = json!({
            "id": "r", "device": "region0", "bus": "NFIT", "numaNode": 0, "size": REGION_MIB << 20,
            "alignment": 2 << 20, "ways": 1, "persistenceDomain": "memory-controller", "state": "Ready", "free": free,
        });
        let node: PmemNode = object(json!({
            "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemNode", "metadata": { "name": format!("n{number}") },
            "status": { "layoutRevision": revision, "backend": "libndctl", "regions": [region] },
        }))?;
        self.state.apply(&node);
        Ok(node)
    }

    fn add(&mut self, claims: &[ClaimOfPod], pod: u64) -> anyhow::Result<Pod> {
        for claim in claims {
            self.state.apply(&object::<PersistentVolumeClaim>(claim.object(None))?);
        }
        let volumes = claims.iter().map(|claim| PodVolume::Claim(&claim.name));
        let name = format!("p{pod}");
        Ok(Pod::new("ns", &name, &name, volumes))
    }

    fn has_room(&self, pod: &Pod, names: &[&str]) -> anyhow::Result<bool> {
        let requirements = PreparedRequirements::of(pod, &self.state, &ReadObjects::default());
        let mut requirements = requirements.ok().context("everything is indexed")?;
        Ok(!filter(&self.state, &mut requirements, names.iter().copied())
            .passed
            .is_empty())
    }

    /// All claims of a pod get their volumes.
    fn carry_out(&mut self, claims: &[ClaimOfPod], node: usize) -> anyhow::Result<()> {
        for claim in claims {
            let volume: PmemVolume = object(json!({
                "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemVolume", "metadata": { "name": format!("pvc-{}", claim.name) },
                "spec": { "node": format!("n{node}"), "required": claim.mib << 20, "mode": "fsdax" },
                "status": { "phase": "Ready", "layoutRevision": self.nodes[node].1 + 1 },
            }))?;
            let request: VolumeRequest = volume.spec.request();
            let (real, revision) = &mut self.nodes[node];
            real.place(&request).context("a volume with a reservation is refused")?;
            *revision += 1;
            let (revision, free) = (*revision, json!(real.regions[0].free));
            self.report(node, revision, &free)?;
            self.state
                .apply(&object::<PersistentVolumeClaim>(claim.object(Some(node)))?);
            self.state.apply(&volume);
        }
        Ok(())
    }
}

impl ClaimOfPod {
    fn object(&self, node: Option<usize>) -> Value {
        let selected = node.map(|node| json!({ "volume.kubernetes.io/selected-node": format!("n{node}") }));
        json!({
            "metadata": { "namespace": "ns", "name": self.name, "uid": self.name, "annotations": selected },
            "spec": { "storageClassName": "fsdax", "resources": { "requests": { "storage": format!("{}Mi", self.mib) } } },
        })
    }
}

fn object<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    Ok(serde_json::from_value(value)?)
}
