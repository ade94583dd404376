//! Gives back claims that wait for a node that is away: without a driver, or with a silent one.
//!
//! kube-scheduler chose the node while the driver was there. If the kubelet lost the driver, external-provisioner does not ask for a
//! volume then, and does not give the claim back either (`GenerateAccessibilityRequirements` fails before any call); if the node is
//! dead, it asks again and again. The pod would wait until the driver is back. So the selected node is taken off, as
//! external-provisioner does after `RESOURCE_EXHAUSTED`, and kube-scheduler looks for another.
//!
//! What was made for such a claim, or is half made, was never handed out, since no PersistentVolume names it. It is deleted as unused
//! before, and its object is let go: a volume of the same id is made elsewhere. A node that comes back finds that another has the
//! volume, and erases its own if its mark says that nobody used it.

mod decide;

use std::time::Duration;

use cluster::names::SELECTED_NODE;
use cluster::{Claim, ObjectKey};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource};
use serde_json::json;
use tokio::time::Instant;
use tracing::{info, warn};

pub use decide::{Absences, held_by_away_nodes, is_stranded};

use crate::controller::{RemoveError, Service, VolumeId};
use crate::index::Index;

/// How often it is looked for them.
const PERIOD: Duration = Duration::from_secs(15);
/// Claims in one page of a list.
const PAGE: u32 = 100;

/// Gives back claims, for ever.
pub async fn run(client: Client, recorder: Recorder, service: Service) {
    let mut absences = Absences::default();
    loop {
        tokio::time::sleep(PERIOD).await;
        let away = service.index().read(Index::away_nodes);
        absences.look(&away, Instant::now().into_std());
        if absences.overdue().next().is_none() {
            continue;
        }
        if let Err(error) = give_back(&client, &recorder, &service, &absences).await {
            let error = program::chain(&error);
            warn!(error, "claims of nodes that are away not given back, trying again");
        }
        for volume in service.index().read(|index| held_by_away_nodes(&absences, index)) {
            let_go(&service, &volume).await;
        }
    }
}

async fn let_go(service: &Service, volume: &VolumeId) {
    match service.let_go(volume).await {
        Ok(false) | Err(RemoveError::Busy(_)) => {}
        Ok(true) => info!(%volume, "deleted, although its node is away: it was never handed out"),
        Err(error) => {
            warn!(%volume, error = program::chain(&error), "volume of a node that is away not let go, trying again");
        }
    }
}

/// Gives back all claims that are stranded now.
///
/// # Errors
/// If the API server does not list the claims. One that cannot be changed is left for the next time.
pub async fn give_back(
    client: &Client,
    recorder: &Recorder,
    service: &Service,
    absences: &Absences,
) -> kube::Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::all(client.clone());
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = claims.list(&page).await?;
        for object in &list.items {
            let claim = Claim::from(object);
            let is_stranded = service.index().read(|index| is_stranded(&claim, absences, index));
            if is_stranded && is_removed(service, &claim).await {
                give_back_one(client, recorder, object, &claim).await;
            }
        }
        match list.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => page.continue_token = Some(next),
            None => return Ok(()),
        }
    }
}

/// Whether nothing is in the way of a volume for the claim elsewhere: what was made for it is deleted.
async fn is_removed(service: &Service, claim: &Claim) -> bool {
    let (volume, node) = (VolumeId::of_name(&claim.volume_name()), claim.selected_node.as_deref());
    match service.remove_away(&volume, node.unwrap_or_default()).await {
        Ok(removed) => removed,
        Err(RemoveError::Busy(_)) => false,
        Err(error) => {
            warn!(%volume, error = program::chain(&error), "volume of a node that is away not deleted, trying again");
            false
        }
    }
}

async fn give_back_one(client: &Client, recorder: &Recorder, object: &PersistentVolumeClaim, claim: &Claim) {
    let key = ObjectKey::of(object);
    let node = claim.selected_node.as_deref().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &key.namespace);
    // Not if anything changed since: kube-scheduler may have chosen another node, or the claim may be bound.
    let patch = json!({ "metadata": {
        "uid": object.metadata.uid, "resourceVersion": object.metadata.resource_version,
        "annotations": { SELECTED_NODE: null },
    } });
    let patched = claims
        .patch(&key.name, &PatchParams::default(), &Patch::Merge(patch))
        .await;
    match patched {
        Ok(_) => {
            info!(claim = %key, node, "selected node taken off: it is away, and nothing of the claim was handed out there");
        }
        Err(error) => {
            warn!(claim = %key, node, error = program::chain(&error), "selected node not taken off, trying again");
            return;
        }
    }
    let event = Event {
        type_: EventType::Warning,
        reason: "NodeWithoutDriver".into(),
        note: Some(format!(
            "node {node} was selected, and its driver for persistent memory is away (not in its CSINode, or silent): another node is chosen"
        )),
        action: "Provisioning".into(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &object.object_ref(&())).await {
        warn!(
            error = program::chain(&error),
            "the event NodeWithoutDriver is not recorded"
        );
    }
}
