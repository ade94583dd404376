//! The kubelet of one node: stages and publishes the volumes of its pods, runs what is in the pods, and takes it down again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cluster::names::FSTYPE;
use csi::v1::node_server::Node;
use csi::v1::{
    NodePublishVolumeRequest, NodeStageVolumeRequest, NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest,
    VolumeCapability,
};
use node_driver::csi::NodeService;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::{Request, Status};

use super::provisioner::capability;
use super::{after_each_change, claims_of, is_deleted, text};
use crate::api_server::{ApiServer, Key, Kind};
use crate::devices::Machine;
use crate::dice::Dice;
use crate::oracle::Oracle;
use crate::programs::{Process, Run};

/// Holds a deleted pod with a node until the kubelet has taken it down: what the API server does without a finalizer.
pub const HELD_BY_KUBELET: &str = "simulation/kubelet";

const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(122);
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// What a kubelet works with.
#[derive(Clone)]
pub struct Kubelet {
    /// The cluster.
    pub api: ApiServer,
    /// Its randomness.
    pub dice: Dice,
    /// The name of its node.
    pub node: String,
    /// The hardware and the kernel of its node.
    pub machine: Machine,
    /// The driver on its node.
    pub driver: Process<NodeService>,
    /// What pods wrote.
    pub oracle: Oracle,
    /// What it has set up, by pod.
    pub pods: Arc<Mutex<BTreeMap<String, SetUp>>>,
}

/// What was set up for a pod: a kubelet finds it again on its disk.
#[derive(Clone, Debug, Default)]
pub struct SetUp {
    /// The handles of its volumes.
    handles: BTreeSet<String>,
    /// Those that it does not have any more, and that may be staged all the same.
    unpublished: BTreeSet<String>,
    is_running: bool,
}

/// A volume of a pod.
struct PodVolume {
    handle: String,
    capability: VolumeCapability,
}

impl Kubelet {
    /// One run of it.
    #[must_use]
    pub fn run(&self) -> Run<()> {
        Run::new((), self.clone().work())
    }

    /// Forgets what was set up: the node was switched off.
    pub fn forget(&self) {
        self.lock().clear();
    }

    async fn work(self) {
        let at_work: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let tasks = Mutex::new(JoinSet::new());
        after_each_change(&self.api, &self.dice, || {
            let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            for uid in self.uids() {
                if at_work
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(uid.clone())
                {
                    let (kubelet, at_work) = (self.clone(), Arc::clone(&at_work));
                    tasks.spawn(async move {
                        kubelet.sync(&uid).await;
                        at_work.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
                    });
                }
            }
        })
        .await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, SetUp>> {
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pods that have something to do.
    fn uids(&self) -> BTreeSet<String> {
        let set_up: BTreeSet<String> = self.lock().keys().cloned().collect();
        let here = self
            .api
            .list(Kind::Pod)
            .into_iter()
            .filter(|pod| text(pod, "/spec/nodeName") == self.node);
        let all = here.map(|pod| text(&pod, "/metadata/uid").to_owned()).chain(set_up);
        all.filter(|uid| {
            let pod = self.pod(uid);
            let is_wanted = pod.as_ref().is_some_and(|pod| !is_deleted(pod));
            let is_running = self.lock().get(uid).is_some_and(|set_up| set_up.is_running);
            let says_so = pod.is_some_and(|pod| text(&pod, "/status/phase") == "Running");
            is_wanted != is_running || !is_wanted || !says_so
        })
        .collect()
    }

    fn pod(&self, uid: &str) -> Option<Arc<Value>> {
        let mut pods = self.api.list(Kind::Pod).into_iter();
        pods.find(|pod| text(pod, "/metadata/uid") == uid && text(pod, "/spec/nodeName") == self.node)
    }

    /// Tries until the pod is as it is wanted.
    async fn sync(&self, uid: &str) {
        let mut pause = FIRST_RETRY;
        loop {
            let done = match self.pod(uid).filter(|pod| !is_deleted(pod)) {
                Some(pod) => self.set_up(uid, &pod).await,
                None => self.tear_down(uid).await,
            };
            match done {
                Ok(()) => return,
                Err(status) => tracing::debug!(node = self.node, uid, %status, "kubelet tries again"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    async fn set_up(&self, uid: &str, pod: &Value) -> Result<(), Status> {
        let name = text(pod, "/metadata/name").to_owned();
        if !self.lock().get(uid).is_some_and(|set_up| set_up.is_running) {
            self.start(uid, pod).await?;
        }
        let key = Key::in_namespace(Kind::Pod, "default", &name);
        // Somebody deleted it meanwhile.
        let _ = self
            .api
            .update_status(&key, |status| status["phase"] = json!("Running"));
        Ok(())
    }

    async fn start(&self, uid: &str, pod: &Value) -> Result<(), Status> {
        for claim in claims_of(pod) {
            let volume = self.volume_of(&claim)?;
            self.lock()
                .entry(uid.into())
                .or_default()
                .handles
                .insert(volume.handle.clone());
            self.stage(&volume).await?;
            self.publish(uid, &volume).await?;
            self.use_volume(uid, &volume.handle)?;
        }
        self.lock().entry(uid.into()).or_default().is_running = true;
        Ok(())
    }

    fn volume_of(&self, claim: &str) -> Result<PodVolume, Status> {
        let missing = |what: &str| Status::not_found(format!("{what} of {claim}"));
        let claim = self
            .api
            .get(&Key::in_namespace(Kind::PersistentVolumeClaim, "default", claim));
        let claim = claim.ok_or_else(|| missing("claim"))?;
        let volume = self
            .api
            .get(&Key::of(Kind::PersistentVolume, text(&claim, "/spec/volumeName")));
        let volume = volume.ok_or_else(|| missing("volume"))?;
        let class = json!({ "parameters": { FSTYPE: volume["spec"]["csi"]["fsType"] } });
        Ok(PodVolume {
            handle: text(&volume, "/spec/csi/volumeHandle").into(),
            capability: capability(&claim, &class),
        })
    }

    async fn stage(&self, volume: &PodVolume) -> Result<(), Status> {
        let request = NodeStageVolumeRequest {
            volume_id: volume.handle.clone(),
            staging_target_path: staging_path(&volume.handle).display().to_string(),
            volume_capability: Some(volume.capability.clone()),
            ..NodeStageVolumeRequest::default()
        };
        self.call(|driver| async move { driver.node_stage_volume(Request::new(request)).await.map(drop) })
            .await
    }

    async fn publish(&self, pod: &str, volume: &PodVolume) -> Result<(), Status> {
        let request = NodePublishVolumeRequest {
            volume_id: volume.handle.clone(),
            staging_target_path: staging_path(&volume.handle).display().to_string(),
            target_path: target_path(pod, &volume.handle).display().to_string(),
            volume_capability: Some(volume.capability.clone()),
            ..NodePublishVolumeRequest::default()
        };
        self.call(|driver| async move { driver.node_publish_volume(Request::new(request)).await.map(drop) })
            .await
    }

    /// What the pod does: it reads what is there, and writes something new.
    fn use_volume(&self, pod: &str, handle: &str) -> Result<(), Status> {
        let path = target_path(pod, handle);
        let failed = |error: std::io::Error| Status::internal(error.to_string());
        self.oracle.read(handle, self.machine.read(&path).map_err(failed)?);
        let token = self.oracle.next_token();
        self.oracle.writes(handle, token);
        self.machine.write(&path, token).map_err(failed)?;
        self.oracle.wrote(handle, token);
        Ok(())
    }

    async fn tear_down(&self, uid: &str) -> Result<(), Status> {
        let handles =
            |of: &dyn Fn(SetUp) -> BTreeSet<String>| self.lock().get(uid).cloned().map(of).unwrap_or_default();
        for handle in handles(&|set_up| set_up.handles) {
            self.unpublish(uid, &handle).await?;
        }
        for handle in handles(&|set_up| set_up.unpublished) {
            if !self.is_used(&handle) {
                self.unstage(&handle).await?;
            }
        }
        self.lock().remove(uid);
        if let Some(pod) = self.pod(uid) {
            let _ = self
                .api
                .delete(&Key::in_namespace(Kind::Pod, "default", text(&pod, "/metadata/name")));
            let key = Key::in_namespace(Kind::Pod, "default", text(&pod, "/metadata/name"));
            let _ = self.api.update(&key, |pod| pod["metadata"]["finalizers"] = json!([]));
        }
        Ok(())
    }

    /// Of two pods that end at once, the second has to see that the first has it no more.
    async fn unpublish(&self, uid: &str, handle: &str) -> Result<(), Status> {
        let request = NodeUnpublishVolumeRequest {
            volume_id: handle.into(),
            target_path: target_path(uid, handle).display().to_string(),
        };
        self.call(|driver| async move { driver.node_unpublish_volume(Request::new(request)).await.map(drop) })
            .await?;
        if let Some(set_up) = self.lock().get_mut(uid) {
            set_up.handles.remove(handle);
            set_up.unpublished.insert(handle.into());
        }
        Ok(())
    }

    async fn unstage(&self, handle: &str) -> Result<(), Status> {
        let request = NodeUnstageVolumeRequest {
            volume_id: handle.into(),
            staging_target_path: staging_path(handle).display().to_string(),
        };
        self.call(|driver| async move { driver.node_unstage_volume(Request::new(request)).await.map(drop) })
            .await
    }

    fn is_used(&self, handle: &str) -> bool {
        self.lock().values().any(|set_up| set_up.handles.contains(handle))
    }

    async fn call<F: Future<Output = Result<(), Status>> + Send>(
        &self,
        call: impl FnOnce(NodeService) -> F + Send,
    ) -> Result<(), Status> {
        let answered = timeout(CALL_TIMEOUT, self.driver.call(call)).await;
        let answered = answered.map_err(|_| Status::deadline_exceeded("too slow"))?;
        answered.map_err(|no_answer| Status::unavailable(no_answer.to_string()))?
    }
}

fn staging_path(handle: &str) -> PathBuf {
    Path::new("/kubelet/staging").join(handle)
}

fn target_path(pod: &str, handle: &str) -> PathBuf {
    Path::new("/kubelet/pods").join(pod).join(handle)
}
