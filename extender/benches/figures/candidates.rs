//! What it costs to offer more than one node for a pod: a burst whose decisions become visible late.
//!
//! Each pod is decided for while the decisions of the last [`BEHIND`] pods cannot be seen yet. A pod is refused in vain if
//! a node has room for it as soon as one knows which nodes those pods really took.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::Context;
use crds::{PmemNode, PmemVolume};
use extender::decide::{Found, Known, Offering, filter, needs_of, offer};
use extender::index::{Index, Indexes};
use extender::pod::Pod;
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
struct Asked {
    name: String,
    mib: u64,
}

/// A pod and the node that kube-scheduler took for it.
struct Taken {
    claims: Vec<Asked>,
    node: usize,
}

/// An index, and the nodes as they really are.
struct World {
    index: Index,
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
    let (mut late, mut prompt) = (World::new()?, World::new()?);
    let mut unseen: VecDeque<Taken> = VecDeque::new();
    let (mut pods, mut in_vain, mut asked) = (0, 0, 0);
    while asked * 100 < NODES * REGION_MIB * FILL_PERCENT {
        let claims = claims_of(pods);
        asked += claims.iter().map(|claim| claim.mib).sum::<u64>();
        let pod = late.add(&claims, pods)?;
        prompt.add(&claims, pods)?;
        let offering = Offering {
            policy: Policy::Pack,
            candidates,
        };
        let offered = offer(
            &mut late.index,
            &Found::default(),
            &pod,
            &names,
            offering,
            Instant::now(),
        );
        let offered = offered.ok().context("everything is indexed")?.passed;
        if offered.is_empty() {
            in_vain += u64::from(prompt.has_room(&pod, &names)?);
        } else {
            // Which of them kube-scheduler prefers is none of the extender's business: by chance.
            let node = offered[usize::try_from(mix(pods))? % offered.len()];
            let node = names
                .iter()
                .position(|name| *name == node)
                .context("a node that was sent")?;
            prompt.carry_out(&claims, node)?;
            unseen.push_back(Taken { claims, node });
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
fn claims_of(pod: u64) -> Vec<Asked> {
    let size = |claim| {
        let chance = mix(pod * 8 + claim);
        (512 << (chance % 5)) + (chance >> 8) % 512
    };
    let claims = 1 + mix(pod) % 3;
    let claims = (0..claims).map(|claim| Asked {
        name: format!("c{pod}-{claim}"),
        mib: size(claim),
    });
    claims.collect()
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let mut index = Index::default();
        let class = json!({ "metadata": { "name": "fsdax" }, "provisioner": crds::DRIVER_NAME });
        index.apply(&object::<StorageClass>(class)?);
        let mut world = Self {
            index,
            nodes: Vec::new(),
        };
        for number in 0..usize::try_from(NODES)? {
            let free = json!([{ "start": 0, "size": REGION_MIB << 20 }]);
            let node = world.publish(number, 1, &free)?;
            world.nodes.push((node.status.context("a status")?.to_placement(), 1));
        }
        Ok(world)
    }

    fn publish(&mut self, number: usize, revision: i64, free: &Value) -> anyhow::Result<PmemNode> {
        let region = json!({
            "id": "r", "device": "region0", "bus": "NFIT", "numaNode": 0, "size": REGION_MIB << 20,
            "alignment": 2 << 20, "ways": 1, "persistenceDomain": "memory-controller", "state": "Ready", "free": free,
        });
        let node: PmemNode = object(json!({
            "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemNode", "metadata": { "name": format!("n{number}") },
            "status": { "layoutRevision": revision, "backend": "libndctl", "regions": [region] },
        }))?;
        self.index.apply(&node);
        Ok(node)
    }

    fn add(&mut self, claims: &[Asked], pod: u64) -> anyhow::Result<Pod> {
        for claim in claims {
            self.index.apply(&object::<PersistentVolumeClaim>(claim.object(None))?);
        }
        let volume =
            |claim: &Asked| json!({ "name": claim.name, "persistentVolumeClaim": { "claimName": claim.name } });
        let volumes: Vec<Value> = claims.iter().map(volume).collect();
        let metadata = json!({ "namespace": "ns", "name": format!("p{pod}"), "uid": format!("p{pod}") });
        object(json!({ "metadata": metadata, "spec": { "volumes": volumes } }))
    }

    fn has_room(&self, pod: &Pod, names: &[&str]) -> anyhow::Result<bool> {
        let known = Known {
            index: &self.index,
            found: &Found::default(),
        };
        let mut needs = needs_of(pod, known).ok().context("everything is indexed")?;
        Ok(!filter(&self.index, &mut needs, names.iter().copied()).passed.is_empty())
    }

    /// All claims of a pod get their volumes.
    fn carry_out(&mut self, claims: &[Asked], node: usize) -> anyhow::Result<()> {
        for claim in claims {
            let volume: PmemVolume = object(json!({
                "apiVersion": "daxfit.dev/v1alpha1", "kind": "PmemVolume", "metadata": { "name": format!("pvc-{}", claim.name) },
                "spec": { "node": format!("n{node}"), "required": claim.mib << 20, "mode": "fsdax" },
                "status": { "phase": "Ready", "layoutRevision": self.nodes[node].1 + 1 },
            }))?;
            let request: VolumeRequest = volume.spec.request();
            let (real, revision) = &mut self.nodes[node];
            real.place(&request)
                .context("a volume that was promised space is refused")?;
            *revision += 1;
            let (revision, free) = (*revision, json!(real.regions[0].free));
            self.publish(node, revision, &free)?;
            self.index
                .apply(&object::<PersistentVolumeClaim>(claim.object(Some(node)))?);
            self.index.apply(&volume);
        }
        Ok(())
    }
}

impl Asked {
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
