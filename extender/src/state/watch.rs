//! One pump per kind of object, which carries watch events into the state.

use std::collections::HashSet;
use std::fmt::Debug;
use std::pin::pin;

use crds::{PmemNode, PmemVolume};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Indexes, SharedState, State};
use crate::object_key::ObjectKey;

/// What was listed so far, if a list is under way.
#[derive(Debug, Default)]
pub struct ListedObjects {
    listed: HashSet<ObjectKey>,
}

impl ListedObjects {
    /// Brings one watch event into the state.
    pub fn on_event<K: Resource>(&mut self, state: &mut State, event: &Event<K>)
    where
        State: Indexes<K>,
    {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.insert(ObjectKey::of(object));
                state.apply(object);
            }
            Event::InitDone => Indexes::<K>::reset(state, &std::mem::take(&mut self.listed)),
            Event::Apply(object) => state.apply(object),
            Event::Delete(object) => Indexes::<K>::delete(state, &ObjectKey::of(object)),
        }
    }
}

/// Keeps `state` true to the cluster until `stop`. Watches that fail are started again, with growing pauses; meanwhile
/// it stays as it was.
#[must_use]
pub fn watch_all(client: &Client, state: &SharedState, stop: &CancellationToken) -> JoinSet<()> {
    let mut pumps = JoinSet::new();
    pumps.spawn(pump::<PmemNode>(Api::all(client.clone()), state.clone(), stop.clone()));
    pumps.spawn(pump::<PmemVolume>(
        Api::all(client.clone()),
        state.clone(),
        stop.clone(),
    ));
    pumps.spawn(pump::<PersistentVolumeClaim>(
        Api::all(client.clone()),
        state.clone(),
        stop.clone(),
    ));
    pumps.spawn(pump::<PersistentVolume>(
        Api::all(client.clone()),
        state.clone(),
        stop.clone(),
    ));
    pumps.spawn(pump::<StorageClass>(
        Api::all(client.clone()),
        state.clone(),
        stop.clone(),
    ));
    pumps
}

async fn pump<K>(api: Api<K>, state: SharedState, stop: CancellationToken)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    State: Indexes<K>,
{
    let events = watcher(api, watcher::Config::default()).default_backoff();
    stop.run_until_cancelled(feed(events, state)).await;
}

async fn feed<K: Resource>(events: impl Stream<Item = watcher::Result<Event<K>>>, state: SharedState)
where
    State: Indexes<K>,
{
    let kind = <State as Indexes<K>>::KIND;
    let mut events = pin!(events);
    let mut listed = ListedObjects::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => listed.on_event(&mut state.write(), &event),
            Err(error) => {
                tracing::warn!(%kind, error = &error as &dyn std::error::Error, "watch failed; trying again");
            }
        }
    }
}
