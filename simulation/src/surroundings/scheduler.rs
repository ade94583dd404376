//! kube-scheduler 1.36 with our extender: queue, filters that matter to us, extender calls, and the binding of volumes
//! (`pkg/scheduler/schedule_one.go`, `backend/queue`, `framework/plugins/volumebinding`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use cluster::names::SELECTED_NODE;
use crds::TOPOLOGY_KEY;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::ServiceExt;

use super::available::{bytes, volumes_for};
use super::kubelet::HELD_BY_KUBELET;
use super::{claims_of, is_deleted, node_of, text};
use crate::api_server::{ApiServer, Key, Kind};
use crate::dice::Dice;
use crate::programs::{ExtenderCalls, Process, Run};
use crate::promises::Promises;

/// `httpTimeout` of our configuration.
const EXTENDER_TIMEOUT: Duration = Duration::from_secs(1);
/// `bindTimeoutSeconds` of `VolumeBindingArgs`.
const BIND_TIMEOUT: Duration = Duration::from_secs(600);
/// `podInitialBackoffSeconds` and `podMaxBackoffSeconds`.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LAST_BACKOFF: Duration = Duration::from_secs(10);
/// `podMaxInUnschedulablePodsDuration`, and how often it is looked at.
const UNSCHEDULABLE_FOR: Duration = Duration::from_secs(300);

/// How it is set up, and what it works with.
#[derive(Clone)]
pub struct SetUp {
    /// What pods call it.
    pub name: &'static str,
    /// The cluster.
    pub api: ApiServer,
    /// Its randomness.
    pub dice: Dice,
    /// Whom it asks.
    pub extender: Process<ExtenderCalls>,
    /// What the extender promised.
    pub promises: Promises,
    /// How it goes about it.
    pub manner: Manner,
}

/// How it goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Whether it does without the extender where that does not answer (`ignorable`).
    pub is_extender_ignorable: bool,
    /// The longest that each write of a decision is on its way to the API server: it waits for those before it.
    pub longest_write: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            is_extender_ignorable: true,
            longest_write: Duration::from_millis(200),
        }
    }
}

/// One run of it, for the pods that ask for a scheduler of this name. What it decided and not written is in memory only.
#[must_use]
pub fn run(set_up: &SetUp) -> Run<()> {
    set_up.promises.forget_unwritten(&set_up.api);
    let scheduler = Scheduler {
        set_up: set_up.clone(),
        queue: Arc::default(),
        assumed: Arc::default(),
        assumed_volumes: Arc::default(),
    };
    Run::new((), scheduler.work())
}

#[derive(Clone)]
struct Scheduler {
    set_up: SetUp,
    queue: Arc<Mutex<BTreeMap<String, Waiting>>>,
    /// The nodes that it decided on for claims and has not written, by the unique ids of the claims (`AssumePodVolumes`).
    assumed: Arc<Mutex<BTreeMap<String, String>>>,
    /// The unique ids of the claims that it is about to bind to volumes that exist, by the names of the volumes.
    assumed_volumes: Arc<Mutex<BTreeMap<String, String>>>,
}

impl std::ops::Deref for Scheduler {
    type Target = SetUp;

    fn deref(&self) -> &SetUp {
        &self.set_up
    }
}

/// A pod without a node, by its unique id.
#[derive(Clone, Debug)]
struct Waiting {
    attempts: u32,
    /// Not before this.
    backoff_until: Instant,
    /// It could not be placed; the version of the cluster then. None: it is to be tried.
    refused_at: Option<(u64, Instant)>,
    /// Nothing was heard for five minutes after the extender had refused it; since when.
    forgotten: Option<Instant>,
    /// Its volumes are being bound.
    is_binding: bool,
}

/// Why a pod got no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoNode {
    /// No node will do.
    Unschedulable { by_extender: bool },
    /// The extender did not answer, or binding failed: it is tried again once its backoff is over.
    Error,
}

/// Whether a change makes refused pods be tried again (`UnrollWildCardResource`): of a pod if it has a node.
fn wakes(kind: Kind, after: &Value) -> bool {
    match kind {
        Kind::Node
        | Kind::PersistentVolume
        | Kind::PersistentVolumeClaim
        | Kind::StorageClass
        | Kind::CSIStorageCapacity
        | Kind::CSINode => true,
        Kind::Pod => !text(after, "/spec/nodeName").is_empty(),
        Kind::PmemNode | Kind::PmemVolume | Kind::Lease | Kind::Event => false,
    }
}

impl Scheduler {
    async fn work(self) {
        let mut bindings = JoinSet::new();
        let mut revisions = self.api.revisions();
        loop {
            revisions.mark_unchanged();
            self.take_in_pods();
            while let Some(pod) = self.next_pod() {
                match self.schedule(&pod).await {
                    Ok((node, claims)) => {
                        self.placed(&pod);
                        bindings.spawn(self.clone().bind(pod, claims, node));
                    }
                    Err(why) => {
                        // Preemption finds no node for it either.
                        self.nominate(&pod, "");
                        self.refused(&pod, why);
                    }
                }
            }
            let next = self.next_time();
            tokio::select! {
                biased;
                changed = revisions.changed() => if changed.is_err() { return },
                () = sleep_until(next) => {}
                Some(_) = bindings.join_next() => {}
            }
            sleep(self.dice.up_to(Duration::from_millis(20))).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, uid: &str, change: impl FnOnce(&mut Waiting)) {
        if let Some(waiting) = self.lock().get_mut(uid) {
            change(waiting);
        }
    }

    fn pods_without_node(&self) -> Vec<Arc<Value>> {
        let mut pods = self.api.list(Kind::Pod);
        pods.retain(|pod| {
            let is_ours = text(pod, "/spec/schedulerName") == self.name;
            is_ours && text(pod, "/spec/nodeName").is_empty() && !is_deleted(pod)
        });
        pods
    }

    fn take_in_pods(&self) {
        let pods = self.pods_without_node();
        let uids: BTreeSet<&str> = pods.iter().map(|pod| text(pod, "/metadata/uid")).collect();
        let mut queue = self.lock();
        queue.retain(|uid, _| uids.contains(&uid.as_str()));
        for uid in uids {
            queue.entry(uid.into()).or_insert_with(|| Waiting {
                attempts: 0,
                backoff_until: Instant::now(),
                refused_at: None,
                forgotten: None,
                is_binding: false,
            });
        }
    }

    fn placed(&self, pod: &Value) {
        self.change(text(pod, "/metadata/uid"), |waiting| {
            waiting.is_binding = true;
            if let Some(since) = waiting.forgotten.take() {
                self.promises.nobody_woke(text(pod, "/metadata/name"), since);
            }
        });
    }

    /// A pod that may be tried now.
    fn next_pod(&self) -> Option<Arc<Value>> {
        let now = Instant::now();
        let mut pods = self.pods_without_node();
        let mut queue = self.lock();
        pods.retain(|pod| {
            let waiting = queue.get_mut(text(pod, "/metadata/uid"));
            waiting.is_some_and(|waiting| {
                if let Some((revision, since)) = waiting.refused_at {
                    if self.api.has_changed_since(revision, wakes) {
                        (waiting.refused_at, waiting.forgotten) = (None, None);
                    } else if now >= since + UNSCHEDULABLE_FOR {
                        waiting.refused_at = None;
                    }
                }
                !waiting.is_binding && waiting.refused_at.is_none() && waiting.backoff_until <= now
            })
        });
        drop(queue);
        self.dice.pick(&pods).cloned()
    }

    fn next_time(&self) -> Instant {
        let queue = self.lock();
        let times = queue
            .values()
            .filter(|waiting| !waiting.is_binding)
            .map(|waiting| match waiting.refused_at {
                None => waiting.backoff_until,
                Some((_, since)) => since + UNSCHEDULABLE_FOR,
            });
        times.min().unwrap_or_else(|| Instant::now() + UNSCHEDULABLE_FOR)
    }

    fn refused(&self, pod: &Value, why: NoNode) {
        let uid = text(pod, "/metadata/uid");
        self.promises.is_written(uid);
        if let NoNode::Unschedulable { .. } = why {
            self.write_condition(pod);
        }
        let revision = *self.api.revisions().borrow();
        self.change(uid, |waiting| {
            let backoff = FIRST_BACKOFF
                .saturating_mul(2_u32.saturating_pow(waiting.attempts))
                .min(LAST_BACKOFF);
            waiting.attempts += 1;
            waiting.backoff_until = Instant::now() + backoff;
            let now = Instant::now();
            waiting.refused_at = (why != NoNode::Error).then_some((revision, now));
            waiting.forgotten = (why == NoNode::Unschedulable { by_extender: true }).then_some(now);
            waiting.is_binding = false;
        });
    }

    fn write_condition(&self, pod: &Value) {
        let key = Key::in_namespace(Kind::Pod, "default", text(pod, "/metadata/name"));
        let _ = self.api.update_status(&key, |status| {
            status["conditions"] = json!([{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable" }]);
        });
    }

    /// The node for a pod, and its claims.
    async fn schedule(&self, pod: &Value) -> Result<(String, Vec<Arc<Value>>), NoNode> {
        let by_plugins = NoNode::Unschedulable { by_extender: false };
        let claims = self.claims(pod).ok_or(by_plugins)?;
        let mut nodes = self.feasible(pod, &claims);
        if nodes.is_empty() {
            return Err(by_plugins);
        }
        // It begins where it ended the last time.
        self.dice.with(|rng| rng.shuffle(&mut nodes));
        self.promises.is_asked_for(text(pod, "/metadata/uid"));
        let answer = self.ask("/filter", pod, &nodes).await;
        if let Some(answer) = &answer {
            self.promises.filtered(answer);
            nodes = names(&answer["NodeNames"]);
        } else if !self.manner.is_extender_ignorable {
            return Err(NoNode::Error);
        }
        if nodes.len() > 1 {
            let scores = self.ask("/prioritize", pod, &nodes).await.unwrap_or_default();
            nodes.sort_by_cached_key(|node| -self.score(node, &scores));
        }
        let by_extender = NoNode::Unschedulable { by_extender: true };
        let node = nodes.into_iter().next().ok_or(by_extender)?;
        if answer.is_some() {
            self.promises.make(pod, &claims, &node, self.extender.calls().as_ref());
        }
        self.assume(&claims, &node);
        Ok((node, claims))
    }

    /// The nodes that pass the plugins. The one that the pod names is tried alone, and first (`evaluateNominatedNode`); that the
    /// extender may refuse it is left out.
    fn feasible(&self, pod: &Value, claims: &[Arc<Value>]) -> Vec<String> {
        let nodes: Vec<String> = self.nodes().filter(|node| self.fits(node, claims)).collect();
        let named: Vec<String> = nodes
            .iter()
            .filter(|node| **node == nominated_node(pod))
            .cloned()
            .collect();
        if named.is_empty() { nodes } else { named }
    }

    /// Ours, of weight 1, beside those of the plugins, which are for anything at all.
    fn score(&self, node: &str, ours: &Value) -> i64 {
        let ours = ours.as_array().into_iter().flatten();
        let of_node = ours.filter(|score| score["Host"] == *node);
        let ours = of_node.filter_map(|score| score["Score"].as_i64()).max().unwrap_or(0);
        10 * ours + self.dice.with(|rng| rng.i64(0..100))
    }

    /// Writes which node the pod is about to go to, or none (`updatePod`).
    fn nominate(&self, pod: &Value, node: &str) {
        let key = Key::in_namespace(Kind::Pod, "default", text(pod, "/metadata/name"));
        let is_other =
            |now: Arc<Value>| now["metadata"]["uid"] == pod["metadata"]["uid"] && nominated_node(&now) != node;
        if self.api.get(&key).is_some_and(is_other) {
            let _ = self
                .api
                .update(&key, |now| now["status"]["nominatedNodeName"] = json!(node));
        }
    }

    fn assumed(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.assumed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assumed_volumes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.assumed_volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assume(&self, claims: &[Arc<Value>], node: &str) {
        let volumes = self.volumes_for(node, claims);
        let undecided = claims.iter().filter(|claim| selected_node(claim).is_none());
        let uids = undecided.map(|claim| text(claim, "/metadata/uid").to_owned());
        let uids = uids.filter(|uid| !volumes.contains_key(uid));
        self.assumed().extend(uids.map(|uid| (uid, node.to_owned())));
        self.assumed_volumes()
            .extend(volumes.into_iter().map(|(uid, volume)| (volume, uid)));
    }

    /// The volumes that exist for claims of a pod on a node, by the unique ids of the claims: not for those that it decided on before.
    fn volumes_for(&self, node: &str, claims: &[Arc<Value>]) -> BTreeMap<String, String> {
        let node = self.api.get(&Key::of(Kind::Node, node)).unwrap_or_default();
        let place = node["metadata"]["labels"][TOPOLOGY_KEY].as_str().unwrap_or_default();
        let mut claims = claims.to_vec();
        claims.retain(|claim| !self.assumed().contains_key(text(claim, "/metadata/uid")));
        volumes_for(&self.api, &claims, place, &self.assumed_volumes())
    }

    /// What was decided for these claims is written, or never will be.
    fn forget(&self, claims: &[Arc<Value>]) {
        let is_other = |uid: &String| claims.iter().all(|claim| text(claim, "/metadata/uid") != uid);
        self.assumed().retain(|uid, _| is_other(uid));
        self.assumed_volumes().retain(|_, uid| is_other(uid));
    }

    /// The claims of a pod; none if one of them is missing.
    fn claims(&self, pod: &Value) -> Option<Vec<Arc<Value>>> {
        let claims = claims_of(pod).map(|name| {
            let claim = self
                .api
                .get(&Key::in_namespace(Kind::PersistentVolumeClaim, "default", &name))?;
            (!is_deleted(&claim)).then_some(claim)
        });
        claims.collect()
    }

    fn nodes(&self) -> impl Iterator<Item = String> {
        let nodes = self.api.list(Kind::Node).into_iter();
        let ready =
            nodes.filter(|node| node["spec"]["unschedulable"] != json!(true) && text(node, "/status/ready") == "True");
        ready.map(|node| text(&node, "/metadata/name").to_owned())
    }

    /// The filter of the plugin `VolumeBinding`.
    fn fits(&self, node: &str, claims: &[Arc<Value>]) -> bool {
        let served = self.volumes_for(node, claims);
        claims.iter().all(|claim| {
            if served.contains_key(text(claim, "/metadata/uid")) {
                return true;
            }
            let volume = text(claim, "/spec/volumeName");
            if !volume.is_empty() {
                return self.is_reached_from(volume, node);
            }
            let assumed = self.assumed().get(text(claim, "/metadata/uid")).cloned();
            let selected = selected_node(claim).or(assumed.as_deref());
            selected.is_none_or(|selected| selected == node) && self.has_capacity(node, claim)
        })
    }

    fn is_reached_from(&self, volume: &str, node: &str) -> bool {
        let volume = self.api.get(&Key::of(Kind::PersistentVolume, volume));
        volume.is_some_and(|volume| self.has_label(node, node_of(&volume)))
    }

    /// Whether a node is where a topology says.
    fn has_label(&self, node: &str, place: &str) -> bool {
        let node = self.api.get(&Key::of(Kind::Node, node));
        node.is_some_and(|node| node["metadata"]["labels"][TOPOLOGY_KEY] == place)
    }

    fn has_capacity(&self, node: &str, claim: &Value) -> bool {
        let wanted = bytes(claim, "/spec/resources/requests/storage");
        let class = text(claim, "/spec/storageClassName");
        let all = self.api.list(Kind::CSIStorageCapacity);
        all.iter().any(|capacity| {
            text(capacity, "/storageClassName") == class
                && capacity["nodeTopology"]["matchLabels"][TOPOLOGY_KEY]
                    .as_str()
                    .is_some_and(|place| self.has_label(node, place))
                && bytes(capacity, "/maximumVolumeSize") >= wanted
        })
    }

    /// None if the extender does not answer in time, or with an error.
    async fn ask(&self, path: &str, pod: &Value, nodes: &[String]) -> Option<Value> {
        let body = json!({ "Pod": pod, "Nodes": null, "NodeNames": nodes }).to_string();
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Body::from(body))
            .ok()?;
        let call = self.extender.call(move |calls: ExtenderCalls| async move {
            let response = calls.app.oneshot(request).await.ok()?;
            let is_success = response.status().is_success();
            let body = response.into_body().collect().await.ok()?.to_bytes();
            if is_success {
                serde_json::from_slice(&body).ok()
            } else {
                None
            }
        });
        timeout(EXTENDER_TIMEOUT, call).await.ok()?.ok()?
    }

    /// The binding cycle: volumes first, then the pod.
    async fn bind(self, pod: Arc<Value>, claims: Vec<Arc<Value>>, node: String) {
        let uid = text(&pod, "/metadata/uid").to_owned();
        sleep(self.dice.up_to(self.manner.longest_write)).await;
        self.nominate(&pod, &node);
        let bound = timeout(BIND_TIMEOUT, self.bind_volumes(&pod, &claims, &node)).await;
        if bound != Ok(true) || !self.bind_pod(&pod, &node) {
            self.nominate(&pod, "");
            self.refused(&pod, NoNode::Error);
        } else {
            // Should etcd be restored, the pod may be without a node again.
            self.lock().remove(&uid);
        }
    }

    /// False if the volumes of the pod cannot be bound for this node any more.
    async fn bind_volumes(&self, pod: &Value, decided: &[Arc<Value>], node: &str) -> bool {
        let claims = self.claims(pod);
        let mut volumes = self.assumed_volumes().clone();
        volumes.retain(|_, uid| claims.iter().flatten().any(|claim| text(claim, "/metadata/uid") == uid));
        let are_selected = match &claims {
            Some(claims) => {
                self.bind_available(claims, &volumes).await && self.select_node(claims, &volumes, node).await
            }
            None => false,
        };
        // Also of those that are gone: etcd may be restored to when they were there (`RevertAssumedPodVolumes`).
        self.forget(decided);
        if !are_selected {
            return false;
        }
        self.promises.is_written(text(pod, "/metadata/uid"));
        let mut revisions = self.api.revisions();
        loop {
            revisions.mark_unchanged();
            match self.are_bound(pod, &volumes, node) {
                Some(done) => return done,
                None => {
                    if revisions.changed().await.is_err() {
                        return false;
                    }
                }
            }
        }
    }

    /// Writes to each of the volumes which claim it is for. False if one of them changed meanwhile.
    async fn bind_available(&self, claims: &[Arc<Value>], volumes: &BTreeMap<String, String>) -> bool {
        for (volume, uid) in volumes {
            sleep(self.dice.up_to(self.manner.longest_write)).await;
            let claim = claims.iter().find(|claim| text(claim, "/metadata/uid") == uid);
            let written = self.api.update(&Key::of(Kind::PersistentVolume, volume), |now| {
                if !now["spec"]["claimRef"].is_object() && !is_deleted(now) && text(now, "/status/phase") == "Available"
                {
                    now["spec"]["claimRef"] = json!({
                        "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": "default",
                        "name": claim.map(|claim| text(claim, "/metadata/name")), "uid": uid,
                    });
                }
            });
            if !written.is_ok_and(|now| now["spec"]["claimRef"]["uid"] == *uid) {
                return false;
            }
            tracing::debug!(volume, uid, "a claim gets a volume that exists");
        }
        true
    }

    /// Writes the node to each claim that is to get a volume of its own. False if one of them changed meanwhile.
    async fn select_node(&self, claims: &[Arc<Value>], volumes: &BTreeMap<String, String>, node: &str) -> bool {
        let unbound = claims.iter().filter(|claim| text(claim, "/spec/volumeName").is_empty());
        for claim in unbound.filter(|claim| !volumes.values().any(|uid| text(claim, "/metadata/uid") == uid)) {
            sleep(self.dice.up_to(self.manner.longest_write)).await;
            let key = Key::in_namespace(Kind::PersistentVolumeClaim, "default", text(claim, "/metadata/name"));
            let written = self.api.update(&key, |now| {
                if now["metadata"]["resourceVersion"] == claim["metadata"]["resourceVersion"] {
                    now["metadata"]["annotations"][SELECTED_NODE] = json!(node);
                }
            });
            let is_ours = |now: &Value| now["metadata"]["annotations"][SELECTED_NODE] == node;
            if !written.is_ok_and(|now| is_ours(&now)) {
                return false;
            }
        }
        true
    }

    /// None while it is not known yet (`checkBindings`).
    fn are_bound(&self, pod: &Value, volumes: &BTreeMap<String, String>, node: &str) -> Option<bool> {
        let Some(claims) = self.claims(pod) else {
            return Some(false);
        };
        let mut all_bound = true;
        for claim in claims {
            let volume = text(&claim, "/spec/volumeName");
            if volume.is_empty() {
                let uid = text(&claim, "/metadata/uid");
                let available = volumes.iter().find(|(_, of)| *of == uid);
                let is_under_way = match available {
                    Some((volume, _)) => {
                        let volume = self.api.get(&Key::of(Kind::PersistentVolume, volume));
                        volume.is_some_and(|volume| volume["spec"]["claimRef"]["uid"] == uid)
                    }
                    None => claim["metadata"]["annotations"][SELECTED_NODE] == node,
                };
                if !is_under_way {
                    return Some(false);
                }
                all_bound = false;
            } else if !self.is_reached_from(volume, node) {
                return Some(false);
            }
        }
        all_bound.then_some(true)
    }

    fn bind_pod(&self, pod: &Value, node: &str) -> bool {
        let key = Key::in_namespace(Kind::Pod, "default", text(pod, "/metadata/name"));
        let is_same = |now: &Value| now["metadata"]["uid"] == pod["metadata"]["uid"] && !is_deleted(now);
        self.api.get(&key).is_some_and(|now| is_same(&now))
            && self.api.get(&Key::of(Kind::Node, node)).is_some()
            && self
                .api
                .update(&key, |now| {
                    now["spec"]["nodeName"] = json!(node);
                    now["status"]["nominatedNodeName"] = json!("");
                    now["metadata"]["finalizers"] = json!([HELD_BY_KUBELET]);
                })
                .is_ok()
    }
}

fn nominated_node(pod: &Value) -> &str {
    text(pod, "/status/nominatedNodeName")
}

fn selected_node(claim: &Value) -> Option<&str> {
    claim["metadata"]["annotations"][SELECTED_NODE].as_str()
}

fn names(list: &Value) -> Vec<String> {
    let names = list.as_array().into_iter().flatten();
    names.filter_map(Value::as_str).map(Into::into).collect()
}
