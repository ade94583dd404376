//! external-provisioner v6.3 with sig-storage-lib-external-provisioner v13: when it calls CreateVolume and DeleteVolume, and
//! what it makes of the answers (`pkg/controller/controller.go` and `controller/controller.go`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cluster::names::{CLAIM_NAME, CLAIM_NAMESPACE, FSTYPE, PERSISTENT_VOLUME_NAME, SELECTED_NODE, VOLUME_PREFIX};
use crds::{DRIVER_NAME, TOPOLOGY_KEY, bytes_of_quantity};
use csi::v1::controller_server::Controller;
use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use csi::v1::{
    CapacityRange, CreateVolumeRequest, DeleteVolumeRequest, Topology, TopologyRequirement, Volume, VolumeCapability,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::{Code, Request, Status};

use super::claims::VOLUME_PROTECTION;
use super::{after_each_change, node_of, remove_finalizer, text};
use crate::api_server::{ApiServer, Key, Kind};
use crate::dice::Dice;
use crate::oracle::Oracle;
use crate::programs::{OperatorCalls, Process, Run};
use crate::promises::Promises;

/// Its finalizer on volumes whose deletion it has to carry out.
pub const FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";

/// As in our manifest.
const TIMEOUT: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// One run of it. What it is at work on is in memory only.
#[must_use]
pub fn run(
    api: &ApiServer,
    dice: &Dice,
    operator: &Process<OperatorCalls>,
    promises: &Promises,
    oracle: &Oracle,
) -> Run<()> {
    let provisioner = Provisioner {
        api: api.clone(),
        dice: dice.clone(),
        operator: operator.clone(),
        promises: promises.clone(),
        oracle: oracle.clone(),
        at_work: Arc::default(),
    };
    Run::new((), provisioner.work())
}

#[derive(Clone)]
struct Provisioner {
    api: ApiServer,
    dice: Dice,
    operator: Process<OperatorCalls>,
    promises: Promises,
    oracle: Oracle,
    /// Claims and volumes that a task works on.
    at_work: Arc<Mutex<BTreeSet<String>>>,
}

/// What to do after a call.
enum Next {
    Done,
    /// Repeat it, even if the claim is gone: the last call may have made a volume. A claim that is there counts as it is by then
    /// (`syncClaimHandler`).
    Repeat,
    /// Repeat it while the claim is there.
    RepeatIfWanted,
}

impl Provisioner {
    async fn work(self) {
        let tasks = Mutex::new(JoinSet::new());
        after_each_change(&self.api, &self.dice, || {
            let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            for claim in self.api.list(Kind::PersistentVolumeClaim) {
                let uid = text(&claim, "/metadata/uid").to_owned();
                if self.is_to_provision(&claim) && self.begin(&uid) {
                    tasks.spawn(self.clone().provision(uid, claim));
                }
            }
            for volume in self.api.list(Kind::PersistentVolume) {
                let name = text(&volume, "/metadata/name").to_owned();
                if is_to_delete(&volume) && self.begin(&name) {
                    tasks.spawn(self.clone().delete(name));
                }
            }
        })
        .await;
    }

    fn begin(&self, key: &str) -> bool {
        self.at_work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.into())
    }

    fn end(&self, key: &str) {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// `shouldProvision`. A claim that was deleted and is held counts as well.
    fn is_to_provision(&self, claim: &Value) -> bool {
        let Some(class) = self.class_of(claim) else {
            return false;
        };
        let waits = text(&class, "/volumeBindingMode") == "WaitForFirstConsumer";
        text(&class, "/provisioner") == DRIVER_NAME
            && text(claim, "/spec/volumeName").is_empty()
            && (!waits || !selected_node(claim).is_empty())
    }

    fn class_of(&self, claim: &Value) -> Option<Arc<Value>> {
        self.api
            .get(&Key::of(Kind::StorageClass, text(claim, "/spec/storageClassName")))
    }

    async fn provision(self, uid: String, mut claim: Arc<Value>) {
        let mut pause = FIRST_RETRY;
        let key = Key::in_namespace(Kind::PersistentVolumeClaim, "default", text(&claim, "/metadata/name"));
        loop {
            let next = self.provision_once(&uid, &key, &claim).await;
            if matches!(next, Next::Done) {
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
            let now = self.api.get(&key).filter(|now| text(now, "/metadata/uid") == uid);
            match (now, next) {
                (Some(now), _) if self.is_to_provision(&now) => claim = now,
                (None, Next::Repeat) => {}
                _ => break,
            }
        }
        self.end(&uid);
        // A change that came while it was at work is looked at now.
        self.api.touch();
    }

    async fn provision_once(&self, uid: &str, key: &Key, claim: &Value) -> Next {
        let name = format!("{VOLUME_PREFIX}{uid}");
        if self.api.get(&Key::of(Kind::PersistentVolume, &name)).is_some() {
            return Next::Done;
        }
        let Some(class) = self.class_of(claim) else {
            return Next::RepeatIfWanted;
        };
        let node = selected_node(claim);
        if !node.is_empty() && self.api.get(&Key::of(Kind::Node, node)).is_none() {
            self.reschedule(key);
            return Next::Done;
        }
        // It has no topology to ask for then, and gives nothing back (`GenerateAccessibilityRequirements`).
        if !node.is_empty() && !self.has_driver(node) {
            return Next::RepeatIfWanted;
        }
        let request = create_request(&name, claim, &class, node);
        let answered = self.create_volume(request).await;
        self.promises.created(answered.is_ok());
        match answered {
            Ok(volume) => {
                let object = persistent_volume(claim, &class, &volume);
                // It exists, if an earlier answer was lost.
                let _ = self.api.create(Key::of(Kind::PersistentVolume, &name), object);
                Next::Done
            }
            Err(status) => {
                if status.code() == Code::ResourceExhausted {
                    self.promises.refused(&self.api, claim, node, status.message());
                }
                self.after_error(key, &status, !node.is_empty())
            }
        }
    }

    fn has_driver(&self, node: &str) -> bool {
        let csi_node = self.api.get(&Key::of(Kind::CSINode, node)).unwrap_or_default();
        let mut drivers = csi_node["spec"]["drivers"].as_array().into_iter().flatten();
        drivers.any(|driver| driver["name"] == DRIVER_NAME)
    }

    async fn create_volume(&self, request: CreateVolumeRequest) -> Result<Volume, Status> {
        let call = self.operator.call(move |calls: OperatorCalls| async move {
            let mut request = Request::new(request);
            request.set_timeout(TIMEOUT);
            timeout(TIMEOUT, calls.controller.create_volume(request)).await
        });
        let answered = call
            .await
            .map_err(|no_answer| Status::unavailable(no_answer.to_string()))?;
        let response = answered.map_err(|_| Status::deadline_exceeded("too slow"))??;
        let volume = response.into_inner().volume;
        volume.ok_or_else(|| Status::internal("an answer without a volume"))
    }

    /// `checkError`.
    fn after_error(&self, key: &Key, status: &Status, may_reschedule: bool) -> Next {
        match status.code() {
            Code::ResourceExhausted if may_reschedule => {
                self.reschedule(key);
                Next::Done
            }
            Code::ResourceExhausted | Code::Cancelled | Code::DeadlineExceeded | Code::Unavailable | Code::Aborted => {
                Next::Repeat
            }
            _ => Next::RepeatIfWanted,
        }
    }

    /// The pod is scheduled anew.
    fn reschedule(&self, key: &Key) {
        let _ = self.api.update(key, |claim| {
            if let Some(annotations) = claim["metadata"]["annotations"].as_object_mut() {
                annotations.remove(SELECTED_NODE);
            }
        });
    }

    async fn delete(self, name: String) {
        let key = Key::of(Kind::PersistentVolume, &name);
        let mut pause = FIRST_RETRY;
        while let Some(volume) = self.api.get(&key).filter(|volume| is_to_delete(volume)) {
            if self.delete_volume(&volume).await {
                let _ = self.api.delete(&key);
                let _ = self.api.update(&key, |volume| remove_finalizer(volume, FINALIZER));
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_RETRY);
        }
        self.end(&name);
        self.api.touch();
    }

    async fn delete_volume(&self, volume: &Value) -> bool {
        let before = self.cluster_of(volume);
        let handle = text(volume, "/spec/csi/volumeHandle");
        let is_deleted = self.call_delete_volume(handle).await;
        // Of a node that is gone, nothing is promised.
        if is_deleted && before.is_some() && before == self.cluster_of(volume) {
            self.oracle.deleted(handle);
        }
        is_deleted
    }

    /// Which cluster it is, of those before and after etcd was restored, while it has the node of the volume.
    fn cluster_of(&self, volume: &Value) -> Option<u64> {
        let node = self.api.get(&Key::of(Kind::Node, node_of(volume)));
        node.map(|_| self.oracle.restored())
    }

    async fn call_delete_volume(&self, handle: &str) -> bool {
        let request = DeleteVolumeRequest {
            volume_id: handle.into(),
            ..DeleteVolumeRequest::default()
        };
        let call = self.operator.call(move |calls: OperatorCalls| async move {
            timeout(TIMEOUT, calls.controller.delete_volume(Request::new(request))).await
        });
        matches!(call.await, Ok(Ok(Ok(_))))
    }
}

fn selected_node(claim: &Value) -> &str {
    claim["metadata"]["annotations"][SELECTED_NODE]
        .as_str()
        .unwrap_or_default()
}

/// `shouldDelete`.
fn is_to_delete(volume: &Value) -> bool {
    text(volume, "/status/phase") == "Released"
        && text(volume, "/spec/persistentVolumeReclaimPolicy") == "Delete"
        && text(volume, "/spec/csi/driver") == DRIVER_NAME
}

fn create_request(name: &str, claim: &Value, class: &Value, node: &str) -> CreateVolumeRequest {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in class["parameters"].as_object().into_iter().flatten() {
        if key != FSTYPE {
            parameters.insert(key.clone(), value.as_str().unwrap_or_default().into());
        }
    }
    parameters.insert(CLAIM_NAME.into(), text(claim, "/metadata/name").into());
    parameters.insert(CLAIM_NAMESPACE.into(), text(claim, "/metadata/namespace").into());
    parameters.insert(PERSISTENT_VOLUME_NAME.into(), name.into());
    let request = Quantity(text(claim, "/spec/resources/requests/storage").into());
    let required = bytes_of_quantity(&request).map_or(0, placement::Bytes::get);
    let topology = Topology {
        segments: [(TOPOLOGY_KEY.to_owned(), node.to_owned())].into(),
    };
    CreateVolumeRequest {
        name: name.into(),
        capacity_range: Some(CapacityRange {
            required_bytes: required,
            limit_bytes: 0,
        }),
        volume_capabilities: vec![capability(claim, class)],
        parameters: parameters.into_iter().collect(),
        accessibility_requirements: (!node.is_empty()).then(|| TopologyRequirement {
            requisite: vec![topology.clone()],
            preferred: vec![topology],
        }),
        ..CreateVolumeRequest::default()
    }
}

/// What a claim of a class wants to do with its volume.
#[must_use]
pub fn capability(claim: &Value, class: &Value) -> VolumeCapability {
    let access_type = if text(claim, "/spec/volumeMode") == "Block" {
        AccessType::Block(BlockVolume {})
    } else {
        let fs_type = class["parameters"][FSTYPE].as_str().unwrap_or("ext4");
        AccessType::Mount(MountVolume {
            fs_type: fs_type.into(),
            ..MountVolume::default()
        })
    };
    VolumeCapability {
        access_mode: Some(AccessMode {
            mode: Mode::SingleNodeMultiWriter.into(),
        }),
        access_type: Some(access_type),
    }
}

fn persistent_volume(claim: &Value, class: &Value, volume: &Volume) -> Value {
    let topology = volume.accessible_topology.first();
    let node = topology.and_then(|topology| topology.segments.get(TOPOLOGY_KEY));
    // `HonorPVReclaimPolicy`: only what it has to delete is held.
    let finalizers = match text(class, "/reclaimPolicy") {
        "Delete" => vec![VOLUME_PROTECTION, FINALIZER],
        _ => vec![VOLUME_PROTECTION],
    };
    json!({
        "metadata": { "finalizers": finalizers },
        "spec": {
            "capacity": { "storage": volume.capacity_bytes.to_string() },
            "accessModes": claim["spec"]["accessModes"],
            "volumeMode": claim["spec"]["volumeMode"],
            "storageClassName": claim["spec"]["storageClassName"],
            "persistentVolumeReclaimPolicy": class["reclaimPolicy"],
            "claimRef": {
                "kind": "PersistentVolumeClaim", "apiVersion": "v1",
                "namespace": claim["metadata"]["namespace"], "name": claim["metadata"]["name"], "uid": claim["metadata"]["uid"],
            },
            "csi": {
                "driver": DRIVER_NAME,
                "volumeHandle": volume.volume_id,
                "volumeAttributes": volume.volume_context.iter().collect::<BTreeMap<_, _>>(),
                "fsType": class["parameters"][FSTYPE],
            },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": TOPOLOGY_KEY, "operator": "In", "values": [node] },
            ]}]}},
        },
        "status": { "phase": "Pending" },
    })
}
