//! Ends what is reserved for claims about which nothing is done, and says so in an event.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolumeClaim};
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::ledger::{NEGLECTED_AFTER, Neglected};
use crate::state::SharedState;
use crate::webhook::ObjectReader;

const INTERVAL: Duration = Duration::from_secs(5);
/// Whatever cannot be read or written in this time is tried again later.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Reads the claims that seem to be neglected, ends what is reserved for those that are, and records it, until `stop`.
pub(crate) async fn end_neglected(
    state: SharedState,
    reader: impl ObjectReader,
    recorder: Recorder,
    stop: CancellationToken,
) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ending = async {
        loop {
            ticks.tick().await;
            let neglected = state.read().ledger().neglected(Instant::now().into_std());
            for neglected in neglected {
                let claim = &neglected.reservation.claim;
                match timeout(TIME_LIMIT, look_after(&state, &reader, &recorder, &neglected)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(%claim, error = program::chain(&error), "not found out whether its volume is being made, trying again");
                    }
                    Err(_) => {
                        tracing::warn!(%claim, "not found out whether its volume is being made: the API server does not answer");
                    }
                }
            }
        }
    };
    stop.run_until_cancelled(ending).await;
}

async fn look_after(
    state: &SharedState,
    reader: &impl ObjectReader,
    recorder: &Recorder,
    neglected: &Neglected,
) -> kube::Result<()> {
    let claim = reader.claim(&neglected.reservation.claim).await?;
    let volume = match &claim {
        Some(claim) => reader.volume(&claim.volume_name()).await?,
        None => None,
    };
    let has_ended = state.write().look_after(neglected, claim.as_ref(), volume.is_some());
    if has_ended {
        tracing::warn!(claim = %neglected.reservation.claim, node = %neglected.node, "no volume is made: reserved no longer");
        recorder.publish(&event(neglected), &reference(neglected)).await?;
    }
    Ok(())
}

fn event(neglected: &Neglected) -> Event {
    let Neglected { node, reservation } = neglected;
    let minutes = NEGLECTED_AFTER.as_secs() / 60;
    Event {
        type_: EventType::Warning,
        reason: "ReservationEnded".into(),
        note: Some(format!(
            "no volume was made on the selected node {node} for {minutes} minutes: {} are not reserved there any longer",
            reservation.space().map(|request| request.required).unwrap_or_default()
        )),
        action: "Scheduling".into(),
        secondary: None,
    }
}

fn reference(neglected: &Neglected) -> ObjectReference {
    let Neglected { reservation, .. } = neglected;
    ObjectReference {
        api_version: Some(PersistentVolumeClaim::api_version(&()).into()),
        kind: Some(PersistentVolumeClaim::kind(&()).into()),
        namespace: Some(reservation.claim.namespace.to_string()),
        name: Some(reservation.claim.name.to_string()),
        uid: Some(reservation.uid.to_string()),
        ..ObjectReference::default()
    }
}
