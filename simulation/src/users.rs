//! What users and administrators do. One who adds something that they do touches this file alone.

use std::time::Duration;

use cluster::names::SELECTED_NODE;
use serde_json::{Value, json};

use crate::api_server::{ApiServer, Key, Kind};
use crate::by_hand::{VolumeEdit, change_class, edit_report, relabel};
use crate::surroundings::claims::{self, CLAIM_PROTECTION, claim_spec};
use crate::surroundings::{claims_of, is_deleted, text};
use crate::world::{CLASSES, World};

/// Something that users do. Numbers choose among what there is at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction {
    /// A pod with new claims.
    CreateApp(Vec<NewClaim>),
    /// A pod with new claims and one that others use, of a class that does not wish it together with others.
    CreateSharingApp(usize, Vec<NewClaim>),
    /// Another pod for the claims of an earlier one.
    CreatePod(usize),
    /// A pod, in order.
    DeletePod(usize),
    /// A pod, though its node has not taken it down.
    ForceDeletePod(usize),
    /// A pod and its claims.
    DeleteApp(usize),
    /// A pod and its claims, unless a volume is being made for one of them: nobody but external-provisioner would know of it.
    DeleteSettledApp(usize),
    /// The claims of a pod, while it may use them.
    DeleteClaims(usize),
    /// A PmemVolume, by hand.
    DeletePmemVolume(usize),
    /// A PmemNode, by hand.
    DeletePmemNode(usize),
    /// A capacity object, by hand.
    DeleteCapacity(usize),
    /// A node takes no new pods, or takes them again.
    Cordon(usize, bool),
    /// All pods leave a node.
    Drain(usize),
    /// A pod with claims that live as long as it does.
    CreateEphemeral(Vec<NewClaim>),
    /// A PersistentVolume that was retained, by hand.
    DeleteRetained(usize),
    /// All `PersistentVolumes` that were retained may be claimed anew.
    MakeAvailable,
    /// A PmemVolume is changed by hand.
    EditVolume(usize, VolumeEdit),
    /// What a node reported is written over.
    EditReport(usize),
    /// A class is made anew with another mode.
    ChangeClass(usize),
    /// A node loses the label that says where it is.
    Relabel(usize, Duration),
}

/// A claim to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewClaim {
    class: usize,
    bytes: i64,
    is_block: bool,
}

impl UserAction {
    /// Anything that users do, the usual things more often.
    pub fn any(rng: &mut fastrand::Rng) -> Self {
        let number = rng.usize(..);
        let edit = VolumeEdit::ALL[rng.usize(..VolumeEdit::ALL.len())];
        let claims = |rng: &mut fastrand::Rng| (0..rng.usize(1..=3)).map(|_| NewClaim::any(rng)).collect();
        match rng.u32(..120) {
            0..40 => Self::CreateApp(claims(rng)),
            40..52 => Self::CreatePod(number),
            52..60 => Self::DeletePod(number),
            60..62 | 108 => Self::MakeAvailable,
            62..66 => Self::ForceDeletePod(number),
            66..82 => Self::DeleteApp(number),
            82..86 => Self::DeleteClaims(number),
            86..90 => Self::DeletePmemVolume(number),
            90..92 => Self::DeletePmemNode(number),
            92..94 => Self::DeleteCapacity(number),
            94..97 => Self::Cordon(number, rng.bool()),
            97..100 => Self::Drain(number),
            100..107 => Self::CreateEphemeral(claims(rng)),
            107 => Self::DeleteRetained(number),
            109..113 => Self::EditVolume(number, edit),
            113..115 => Self::EditReport(number),
            115..118 => Self::ChangeClass(number),
            _ => Self::Relabel(number, Duration::from_millis(rng.u64(100..90_000))),
        }
    }

    /// Does it.
    pub fn carry_out(&self, world: &World, name: &str) {
        let api = &world.api;
        match self {
            Self::CreateApp(claims) => create_app(world, name, claims, None),
            Self::CreateSharingApp(number, claims) => create_app(world, name, claims, shared_claim(api, *number)),
            Self::CreatePod(number) => create_pod_again(world, name, *number),
            Self::DeletePod(number) => with(api, Kind::Pod, *number, |key, _| delete_pod(api, key)),
            Self::ForceDeletePod(number) => with(api, Kind::Pod, *number, |key, _| force_delete_pod(api, key)),
            Self::DeleteApp(number) => with(api, Kind::Pod, *number, |key, pod| {
                delete_pod(api, key);
                delete_claims(world, pod);
            }),
            Self::DeleteSettledApp(number) => with(api, Kind::Pod, *number, |key, pod| {
                if claims_of(pod).all(|claim| is_settled(world, &claim)) {
                    delete_pod(api, key);
                    delete_claims(world, pod);
                }
            }),
            Self::DeleteClaims(number) => with(api, Kind::Pod, *number, |_, pod| delete_claims(world, pod)),
            Self::DeletePmemVolume(number) => with(api, Kind::PmemVolume, *number, |key, _| _ = api.delete(key)),
            Self::DeletePmemNode(number) => with(api, Kind::PmemNode, *number, |key, _| _ = api.delete(key)),
            Self::DeleteCapacity(number) => with(api, Kind::CSIStorageCapacity, *number, |key, _| _ = api.delete(key)),
            Self::Cordon(number, is_cordoned) => with(api, Kind::Node, *number, |key, _| {
                let _ = api.update(key, |node| node["spec"]["unschedulable"] = json!(is_cordoned));
            }),
            Self::Drain(number) => with(api, Kind::Node, *number, |_, node| {
                drain(api, text(node, "/metadata/name"));
            }),
            _ => self.carry_out_by_hand(world, name),
        }
    }

    fn carry_out_by_hand(&self, world: &World, name: &str) {
        let api = &world.api;
        match self {
            Self::CreateEphemeral(claims) => create_ephemeral(world, name, claims),
            Self::DeleteRetained(number) => with(api, Kind::PersistentVolume, *number, |key, volume| {
                if text(volume, "/spec/persistentVolumeReclaimPolicy") == "Retain" {
                    world.oracle.deletes_retained(text(volume, "/spec/csi/volumeHandle"));
                    let _ = api.delete(key);
                }
            }),
            Self::MakeAvailable => make_available(api),
            Self::EditVolume(number, edit) => with(api, Kind::PmemVolume, *number, |key, _| edit.apply(world, key)),
            Self::EditReport(number) => {
                with(api, Kind::PmemNode, *number, |key, _| edit_report(api, key, *number));
            }
            Self::ChangeClass(number) => change_class(api, *number),
            Self::Relabel(number, long) => with(api, Kind::Node, *number, |key, _| relabel(api, key, *long)),
            _ => {}
        }
    }
}

impl NewClaim {
    /// A claim of the class of that name.
    #[must_use]
    pub fn of(class: &str, bytes: i64, is_block: bool) -> Self {
        let class = CLASSES.iter().position(|known| known.name == class);
        Self {
            class: class.unwrap_or_default(),
            bytes,
            is_block,
        }
    }

    fn any(rng: &mut fastrand::Rng) -> Self {
        let largest = if rng.u32(..5) == 0 { 48 << 20 } else { 12 << 20 };
        Self {
            class: rng.usize(..CLASSES.len()),
            bytes: rng.i64(1 << 20..largest),
            is_block: rng.u32(..6) == 0,
        }
    }

    fn spec(self) -> Value {
        claim_spec(CLASSES[self.class].name, self.bytes, self.is_block)
    }
}

/// Acts on one of the objects of a kind, if there is one.
fn with(api: &ApiServer, kind: Kind, number: usize, act: impl FnOnce(&Key, &Value)) {
    let all = api.list(kind);
    if let Some(object) = all.get(number.checked_rem(all.len()).unwrap_or_default()) {
        let key = Key::in_namespace(
            kind,
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        );
        act(&key, object);
    }
}

/// The extender sees one pod at a time: what else pods wish that share a claim which wishes so too, it does not know.
fn shared_claim(api: &ApiServer, number: usize) -> Option<String> {
    let mut claims = api.list(Kind::PersistentVolumeClaim);
    claims.retain(|claim| !is_deleted(claim) && text(claim, "/spec/storageClassName") != "together");
    let claim = claims.get(number.checked_rem(claims.len())?)?;
    Some(text(claim, "/metadata/name").to_owned())
}

fn create_app(world: &World, name: &str, claims: &[NewClaim], shared: Option<String>) {
    let mut names: Vec<String> = (0..claims.len()).map(|number| format!("{name}-{number}")).collect();
    for (name, claim) in names.iter().zip(claims) {
        let object = json!({
            "metadata": { "finalizers": [CLAIM_PROTECTION], "annotations": {} },
            "spec": claim.spec(),
            "status": { "phase": "Pending" },
        });
        let key = Key::in_namespace(Kind::PersistentVolumeClaim, "default", name);
        let _ = world.api.create(key, object);
    }
    names.extend(shared);
    create_pod(world, name, &names);
}

fn create_pod(world: &World, name: &str, claims: &[String]) {
    let volumes: Vec<Value> = claims
        .iter()
        .map(|claim| json!({ "name": claim, "persistentVolumeClaim": { "claimName": claim } }))
        .collect();
    create_pod_with(world, name, &volumes);
}

fn create_ephemeral(world: &World, name: &str, claims: &[NewClaim]) {
    let volumes = claims.iter().enumerate().map(|(number, claim)| {
        let template = json!({ "metadata": { "labels": { "app": name } }, "spec": claim.spec() });
        json!({ "name": number.to_string(), "ephemeral": { "volumeClaimTemplate": template } })
    });
    create_pod_with(world, name, &volumes.collect::<Vec<_>>());
}

fn create_pod_with(world: &World, name: &str, volumes: &[Value]) {
    let scheduler = world.dice.pick(&world.schedulers).map(|scheduler| scheduler.name);
    let spec = json!({ "volumes": volumes, "schedulerName": scheduler });
    let pod = json!({ "spec": spec, "status": { "phase": "Pending" } });
    let _ = world.api.create(Key::in_namespace(Kind::Pod, "default", name), pod);
}

/// For the claims that begin with the name of an earlier pod.
fn create_pod_again(world: &World, name: &str, number: usize) {
    let api = &world.api;
    with(api, Kind::PersistentVolumeClaim, number, |key, _| {
        let app = key.name.rsplit_once('-').map_or("", |(app, _)| app);
        let claims = api.list(Kind::PersistentVolumeClaim);
        let names = claims
            .iter()
            .filter(|claim| !is_deleted(claim))
            .map(|claim| text(claim, "/metadata/name").to_owned());
        let of_app: Vec<String> = names
            .filter(|claim| claim.rsplit_once('-').is_some_and(|(of, _)| of == app))
            .collect();
        if !of_app.is_empty() {
            create_pod(world, name, &of_app);
        }
    });
}

/// Its node has to take it down first, if it has one (see `Finalizer` of the kubelet's model).
fn delete_pod(api: &ApiServer, key: &Key) {
    let _ = api.delete(key);
}

/// As `kubectl delete --force --grace-period=0` does.
pub fn force_delete_pod(api: &ApiServer, key: &Key) {
    let _ = api.update(key, |pod| pod["metadata"]["finalizers"] = json!([]));
    let _ = api.delete(key);
}

/// Whether a claim is bound, or nobody is about to make a volume for it.
fn is_settled(world: &World, claim: &str) -> bool {
    let claim = world
        .api
        .get(&Key::in_namespace(Kind::PersistentVolumeClaim, "default", claim));
    claim.is_none_or(|claim| {
        let is_selected = claim["metadata"]["annotations"][SELECTED_NODE].is_string();
        !text(&claim, "/spec/volumeName").is_empty() || !is_selected && !world.promises.is_under_way(&claim)
    })
}

fn delete_claims(world: &World, pod: &Value) {
    for claim in claims_of(pod) {
        delete_claim(
            world,
            &Key::in_namespace(Kind::PersistentVolumeClaim, "default", &claim),
        );
    }
}

/// Its users give up what is on its volume, unless that is retained.
fn delete_claim(world: &World, key: &Key) {
    if let Some(claim) = world.api.get(key) {
        world.oracle.give_up_claim(&world.api, &claim);
        let _ = world.api.delete(key);
    }
}

fn make_available(api: &ApiServer) {
    let mut volumes = api.list(Kind::PersistentVolume);
    volumes.retain(|volume| text(volume, "/spec/persistentVolumeReclaimPolicy") == "Retain");
    volumes.retain(|volume| text(volume, "/status/phase") == "Released" && !is_deleted(volume));
    for volume in volumes {
        let _ = api.update(
            &Key::of(Kind::PersistentVolume, text(&volume, "/metadata/name")),
            claims::make_available,
        );
    }
}

fn drain(api: &ApiServer, node: &str) {
    for pod in api.list(Kind::Pod) {
        if text(&pod, "/spec/nodeName") == node {
            delete_pod(
                api,
                &Key::in_namespace(Kind::Pod, "default", text(&pod, "/metadata/name")),
            );
        }
    }
}

/// Used by nobody but people who look into a failed history.
#[must_use]
pub fn describe_claim(claim: &Value) -> String {
    format!(
        "{} of {} on {}",
        text(claim, "/metadata/name"),
        text(claim, "/spec/resources/requests/storage"),
        claim["metadata"]["annotations"][SELECTED_NODE]
            .as_str()
            .unwrap_or("no node"),
    )
}
