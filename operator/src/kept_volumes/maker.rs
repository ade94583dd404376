//! Writes the objects of kept volumes anew.

use std::time::Duration;

use crds::PmemVolume;
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use tracing::{info, warn};

use super::decide::objects_to_make;
use crate::index::{NamedVolume, SharedIndex};

/// The pause after the API server did not take an object.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the watch may take to show what was written. Nothing is lost after that: writing it again is refused.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

/// Where objects are written, and where those are read that name their volumes.
struct Apis {
    volumes: Api<PmemVolume>,
    persistent_volumes: Api<PersistentVolume>,
}

/// Makes the PmemVolume of each volume anew that a node keeps and a `PersistentVolume` names. It never returns.
pub async fn run(client: Client, recorder: Recorder, index: SharedIndex) {
    let apis = Apis {
        volumes: Api::all(client.clone()),
        persistent_volumes: Api::all(client),
    };
    loop {
        let to_make = index
            .wait_for(|index| Some(objects_to_make(index)).filter(|to_make| !to_make.is_empty()))
            .await;
        for volume in to_make {
            if !make(&apis, &recorder, &index, volume).await {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the object is there now.
async fn make(apis: &Apis, recorder: &Recorder, index: &SharedIndex, volume: PmemVolume) -> bool {
    let name = volume.name_any();
    // CreateVolume may be at it.
    let reserved = index.reserve(|index| match index.newest_volume(&name) {
        Some(_) => Err(()),
        None => Ok(volume),
    });
    let Ok((volume, _reservation)) = reserved else {
        return true;
    };
    match create_if_named(apis, index, &volume).await {
        Ok(None) => {
            info!(
                volume = name,
                "PmemVolume not made anew: the watches are behind, nobody names it any more"
            );
            return false;
        }
        Ok(Some(_)) => tell(recorder, index, &volume).await,
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => {
            let error = program::chain(&error);
            warn!(volume = name, error, "PmemVolume not made anew, trying again");
            return false;
        }
    }
    let shown = index.wait_for(|index| index.volume(&name).map(drop));
    tokio::time::timeout(SHOWN_WITHIN, shown).await.is_ok()
}

/// Writes the object, if a `PersistentVolume` names it at the API server itself. Each watch shows the cluster as it was some time
/// ago, and one may be further behind than another: what they show together may be from before the volume was erased, and an
/// object that is made then is nobody's.
async fn create_if_named(apis: &Apis, index: &SharedIndex, volume: &PmemVolume) -> kube::Result<Option<PmemVolume>> {
    let id = volume.name_any();
    let shown = index.read(|index| {
        let named = index.persistent_volumes_of(&id).map(|named| named.name.clone());
        named.collect::<Vec<_>>()
    });
    for name in shown {
        let now = apis.persistent_volumes.get_opt(&name).await?;
        if now.as_ref().is_some_and(|now| names(now, volume)) {
            return apis.volumes.create(&PostParams::default(), volume).await.map(Some);
        }
    }
    Ok(None)
}

fn names(now: &PersistentVolume, volume: &PmemVolume) -> bool {
    NamedVolume::of(now).is_some_and(|now| {
        let is_it = *now.volume.handle == *volume.name_any() && now.volume.node.as_deref() == Some(&volume.spec.node);
        is_it && !now.is_released_for_deletion
    })
}

/// On the claim, where its user looks; on the `PersistentVolume` if it has none.
async fn tell(recorder: &Recorder, index: &SharedIndex, volume: &PmemVolume) {
    let (id, node) = (volume.name_any(), &volume.spec.node);
    info!(volume = id, node, "PmemVolume made anew: its data was kept");
    let named = index.read(|index| index.persistent_volumes_of(&id).next().cloned());
    let Some(named) = named else {
        return;
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "PmemVolumeMadeAnew".into(),
        note: Some(format!(
            "PmemVolume {id} was deleted, but its PersistentVolume was not: nothing was erased, its data is on node {node}, \
             and the PmemVolume was made anew. To give up a volume, delete its claim"
        )),
        action: "KeepVolume".into(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &place_to_tell(&named)).await {
        warn!(
            error = program::chain(&error),
            "the event PmemVolumeMadeAnew is not recorded"
        );
    }
}

fn place_to_tell(named: &NamedVolume) -> ObjectReference {
    match &named.claim {
        Some(claim) => ObjectReference {
            api_version: Some(PersistentVolumeClaim::api_version(&()).into()),
            kind: Some(PersistentVolumeClaim::kind(&()).into()),
            namespace: claim.namespace.clone(),
            name: claim.name.clone(),
            uid: claim.uid.clone(),
            ..ObjectReference::default()
        },
        None => ObjectReference {
            api_version: Some(PersistentVolume::api_version(&()).into()),
            kind: Some(PersistentVolume::kind(&()).into()),
            name: Some(named.name.clone()),
            uid: Some(named.uid.clone()),
            ..ObjectReference::default()
        },
    }
}
