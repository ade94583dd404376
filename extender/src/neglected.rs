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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cluster::watch::Indexes;
    use cluster::{Claim, Class, ObjectKey, Pod};
    use crds::PmemVolume;
    use http::{Request, Response};
    use http_body_util::BodyExt;
    use kube::client::Body;
    use kube::runtime::events::{Recorder, Reporter};
    use serde_json::Value;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::testing::{claim, class, node, selected};

    /// The claim is as it was, and there is no volume.
    struct AsBefore(PersistentVolumeClaim);

    impl ObjectReader for Arc<AsBefore> {
        async fn claim(&self, _: &ObjectKey) -> kube::Result<Option<Claim>> {
            Ok(Some(Claim::from(&self.0)))
        }

        async fn class(&self, _: &str) -> kube::Result<Option<Class>> {
            Ok(None)
        }

        async fn volume(&self, _: &str) -> kube::Result<Option<PmemVolume>> {
            Ok(None)
        }

        async fn pod(&self, _: &ObjectKey) -> kube::Result<Option<Pod>> {
            Ok(None)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_claim_gets_an_event_when_what_is_reserved_for_it_ends() {
        let shown = selected(claim("ns", "data", "fsdax", "100Mi"), "one");
        let state = SharedState::default();
        state.write().apply(&node("one", 1, &[&[(0, 512)]]));
        state.write().apply(&class("fsdax", &[]));
        state.write().apply(&shown);
        state.write().expire(Instant::now().into_std());
        let (service, mut requests) = tower_test::mock::pair::<Request<Body>, Response<Body>>();
        let recorder = Recorder::new(kube::Client::new(service, "ns"), Reporter::from("extender"));
        let stop = CancellationToken::new();
        let ending = end_neglected(state.clone(), Arc::new(AsBefore(shown)), recorder, stop.clone());
        let ending = tokio::spawn(ending);
        tokio::time::advance(NEGLECTED_AFTER / 2).await;
        assert_eq!(state.read().ledger().reservations_on("one").count(), 1);
        let (request, response) = requests.next_request().await.unwrap();
        let event = request.into_body().collect().await.unwrap().to_bytes();
        response.send_response(Response::new(Body::from(event.to_vec())));
        let event: Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(
            (&event["reason"], &event["regarding"]["name"]),
            (&"ReservationEnded".into(), &"data".into())
        );
        assert!(
            event["note"]
                .as_str()
                .unwrap()
                .contains("100 MiB are not reserved there any longer"),
            "{event}"
        );
        assert_eq!(state.read().ledger().reservations_on("one").count(), 0);
        stop.cancel();
        ending.await.unwrap();
    }
}
