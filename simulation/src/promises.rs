//! What the extender promised: a node that passed its filter holds all claims of the pod, whatever the order in which their
//! volumes come to be created. And what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use tokio::time::Instant;

use crate::api_server::{ApiServer, Key, Kind};
use crate::programs::ExtenderCalls;
use crate::surroundings::{claims_of, is_deleted, text};

/// What the extender promised, and what became of it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Promises(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By the unique id of the claim.
    made: BTreeMap<String, Promise>,
    /// The unique ids of pods that kube-scheduler asked for, and of which it has not written yet all that it decided.
    unwritten: BTreeSet<String>,
    counts: Counts,
    broken: Vec<String>,
    /// Sentences about pods that waited in vain since faults ended.
    not_woken: Vec<String>,
    /// When faults ended, if they did.
    healed: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Promise {
    /// The unique id of the pod.
    pod: String,
    node: String,
    /// The volumes that the extender counted on the node.
    beside: BTreeSet<String>,
}

/// How much was asked for, and how scarce it was.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    /// Answers of the filter.
    pub filtered: u64,
    /// Of these, answers in which at least one node had no space.
    pub without_space: u64,
    /// Of these, answers in which no node was left.
    pub without_node: u64,
    /// Calls of CreateVolume.
    pub creations: u64,
    /// Of these, calls that returned a volume.
    pub created: u64,
    /// Promises that were not kept.
    pub broken: u64,
}

impl Promises {
    /// The filter answered.
    pub fn filtered(&self, answer: &Value) {
        let mut refused = answer["FailedAndUnresolvableNodes"].as_object().into_iter().flatten();
        let is_short = refused.any(|(_, why)| why.as_str().is_some_and(|why| why.contains("free in")));
        let counts = &mut self.lock().counts;
        counts.filtered += 1;
        counts.without_space += u64::from(is_short);
        counts.without_node += u64::from(answer["NodeNames"].as_array().is_none_or(Vec::is_empty));
    }

    /// kube-scheduler asks for a pod: what the extender reserves is to be seen once that is written, or the pod refused.
    pub fn is_asked_for(&self, pod: &str) {
        self.lock().unwritten.insert(pod.into());
    }

    /// kube-scheduler took a node that passed, and has yet to write that.
    pub fn make(&self, pod: &Value, claims: &[Arc<Value>], node: &str, extender: Option<&ExtenderCalls>) {
        let pod = text(pod, "/metadata/uid");
        let beside = extender.map(|extender| volumes_on(extender, node)).unwrap_or_default();
        let mut state = self.lock();
        let unbound = claims.iter().filter(|claim| text(claim, "/spec/volumeName").is_empty());
        for claim in unbound {
            let promise = Promise {
                pod: pod.into(),
                node: node.into(),
                beside: beside.clone(),
            };
            state.made.insert(text(claim, "/metadata/uid").into(), promise);
        }
    }

    /// kube-scheduler has written what it decided for a pod, or given it up.
    pub fn is_written(&self, pod: &str) {
        self.lock().unwritten.remove(pod);
    }

    /// kube-scheduler starts: what it had decided for pods that are gone is never written.
    pub fn forget_unwritten(&self, api: &ApiServer) {
        let pods = api.list(Kind::Pod);
        let is_there = |uid: &String| pods.iter().any(|pod| text(pod, "/metadata/uid") == uid);
        self.lock().unwritten.retain(is_there);
    }

    /// Whether kube-scheduler has written everything that it decided.
    #[must_use]
    pub fn are_written(&self) -> bool {
        self.lock().unwritten.is_empty()
    }

    /// Whether kube-scheduler has decided on a node for a claim, and not written everything that it decided for its pod.
    #[must_use]
    pub fn is_under_way(&self, claim: &Value) -> bool {
        let state = self.lock();
        let promise = state.made.get(text(claim, "/metadata/uid"));
        promise.is_some_and(|promise| state.unwritten.contains(&promise.pod))
    }

    /// CreateVolume answered.
    pub fn created(&self, has_succeeded: bool) {
        let counts = &mut self.lock().counts;
        counts.creations += 1;
        counts.created += u64::from(has_succeeded);
    }

    /// There is no space for a claim on `node`. That breaks a promise if the claim and the pod that it was made for are still
    /// there, unless the claim wishes a NUMA node and space came free since: nobody can promise anything for that then.
    pub fn refused(&self, api: &ApiServer, claim: &Value, node: &str, why: &str) {
        let mut state = self.lock();
        let promise = state.made.get(text(claim, "/metadata/uid"));
        let Some(promise) = promise.filter(|it| it.node == node && is_wanted(api, claim, &it.pod)) else {
            return;
        };
        if wishes_numa_node(api, claim) && has_space_come_free(api, promise) {
            return;
        }
        let name = text(claim, "/metadata/name");
        state.counts.broken += 1;
        state
            .broken
            .push(format!("{node} passed the filter for claim {name}, and then: {why}"));
    }

    /// The extender refused a pod at `since`, nothing that wakes pods happened for five minutes, and then there was room for it.
    pub fn nobody_woke(&self, pod: &str, since: Instant) {
        let mut state = self.lock();
        if state.healed <= Some(since) {
            let waited = since.elapsed().as_secs();
            state.not_woken.push(format!(
                "pod {pod} was forgotten for {waited} s, and there was room for it"
            ));
        }
    }

    /// The pods that waited in vain.
    #[must_use]
    pub fn not_woken(&self) -> Vec<String> {
        self.lock().not_woken.clone()
    }

    /// No fault counts any more.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.healed = Some(Instant::now());
        state.not_woken.clear();
    }

    /// The promises that were not kept.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        self.lock().broken.clone()
    }

    /// How much was asked for, and how scarce it was.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the extender counts on a node.
fn volumes_on(extender: &ExtenderCalls, node: &str) -> BTreeSet<String> {
    let state = extender.state.read();
    let node = state.index().node(node).into_iter();
    node.flat_map(|node| node.volumes().map(Into::into)).collect()
}

/// Whether one of the volumes beside which the promise was made is gone.
fn has_space_come_free(api: &ApiServer, promise: &Promise) -> bool {
    let report = api.get(&Key::of(Kind::PmemNode, &promise.node)).unwrap_or_default();
    let regions = report["status"]["regions"].as_array().into_iter().flatten();
    let named = regions.flat_map(|region| {
        let volumes = region["volumes"].as_array().into_iter().flatten();
        let erasing = region["erasing"].as_array().into_iter().flatten();
        volumes.chain(erasing.map(|erasing| &erasing["name"]))
    });
    let named: BTreeSet<&str> = named.filter_map(Value::as_str).collect();
    let is_there = |volume: &str| named.contains(volume) || api.get(&Key::of(Kind::PmemVolume, volume)).is_some();
    !promise.beside.iter().all(|volume| is_there(volume))
}

fn wishes_numa_node(api: &ApiServer, claim: &Value) -> bool {
    let class = api.get(&Key::of(Kind::StorageClass, text(claim, "/spec/storageClassName")));
    class.is_some_and(|class| class["parameters"]["csi.daxfit.dev/numa"].is_string())
}

fn is_wanted(api: &ApiServer, claim: &Value, pod: &str) -> bool {
    let name = text(claim, "/metadata/name");
    let claims = api.list(Kind::PersistentVolumeClaim);
    let is_there = claims
        .iter()
        .any(|now| now["metadata"]["uid"] == claim["metadata"]["uid"] && !is_deleted(now));
    let pods = api.list(Kind::Pod);
    is_there
        && pods.iter().any(|now| {
            text(now, "/metadata/uid") == pod && !is_deleted(now) && claims_of(now).any(|claim| claim == name)
        })
}
