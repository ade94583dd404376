//! Gives back claims that wait for a node without a driver.
//!
//! kube-scheduler chose the node while the driver was there. external-provisioner does not ask for a volume then, and does not give
//! the claim back either (`GenerateAccessibilityRequirements` fails before any call), so the pod would wait until the driver is
//! back. Nothing was made for such a claim, as far as the cluster and the nodes show; so the selected node is taken off, as
//! external-provisioner does after `RESOURCE_EXHAUSTED`, and kube-scheduler looks for another.

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

pub use decide::{Absences, is_stranded};

use crate::index::{Index, SharedIndex};

/// How often it is looked for them.
const PERIOD: Duration = Duration::from_secs(15);
/// Claims in one page of a list.
const PAGE: u32 = 100;

/// Gives back claims, for ever.
pub async fn run(client: Client, recorder: Recorder, index: SharedIndex) {
    let mut absences = Absences::default();
    loop {
        tokio::time::sleep(PERIOD).await;
        absences.look(&index.read(Index::driverless_nodes), Instant::now().into_std());
        if absences.overdue().next().is_none() {
            continue;
        }
        if let Err(error) = give_back(&client, &recorder, &index, &absences).await {
            let error = program::chain(&error);
            warn!(error, "claims of nodes without a driver not given back, trying again");
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
    index: &SharedIndex,
    absences: &Absences,
) -> kube::Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::all(client.clone());
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = claims.list(&page).await?;
        for object in &list.items {
            let claim = Claim::from(object);
            if index.read(|index| is_stranded(&claim, absences, index)) {
                give_back_one(client, recorder, object, &claim).await;
            }
        }
        match list.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => page.continue_token = Some(next),
            None => return Ok(()),
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
        Ok(_) => info!(claim = %key, node, "selected node taken off: it has no driver, and nothing was made there"),
        Err(error) => {
            warn!(claim = %key, node, error = program::chain(&error), "selected node not taken off, trying again");
            return;
        }
    }
    let event = Event {
        type_: EventType::Warning,
        reason: "NodeWithoutDriver".into(),
        note: Some(format!(
            "node {node} was selected, and has no driver for persistent memory (its CSINode does not list it): another node is chosen"
        )),
        action: "Provisioning".into(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &object.object_ref(&())).await {
        warn!(error = program::chain(&error), "event not recorded");
    }
}
