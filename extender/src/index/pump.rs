//! One pump per watch: the only asynchronous part of the index.

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

use super::{Index, Indexes, ObjectKey, SharedIndex};

/// What was listed so far, if a list is under way.
#[derive(Debug, Default)]
pub struct Feed {
    listed: HashSet<ObjectKey>,
}

impl Feed {
    /// Brings one watch event into the index.
    pub fn on_event<K: Resource>(&mut self, index: &mut Index, event: &Event<K>)
    where
        Index: Indexes<K>,
    {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.insert(ObjectKey::of(object));
                index.apply(object);
            }
            Event::InitDone => Indexes::<K>::reset(index, &std::mem::take(&mut self.listed)),
            Event::Apply(object) => index.apply(object),
            Event::Delete(object) => Indexes::<K>::delete(index, &ObjectKey::of(object)),
        }
    }
}

/// Keeps `index` true to the cluster until `stop`. Watches that fail are started again, with growing pauses; meanwhile
/// the index stays as it was.
#[must_use]
pub fn watch_all(client: &Client, index: &SharedIndex, stop: &CancellationToken) -> JoinSet<()> {
    let mut pumps = JoinSet::new();
    pumps.spawn(pump::<PmemNode>(Api::all(client.clone()), index.clone(), stop.clone()));
    pumps.spawn(pump::<PmemVolume>(
        Api::all(client.clone()),
        index.clone(),
        stop.clone(),
    ));
    pumps.spawn(pump::<PersistentVolumeClaim>(
        Api::all(client.clone()),
        index.clone(),
        stop.clone(),
    ));
    pumps.spawn(pump::<PersistentVolume>(
        Api::all(client.clone()),
        index.clone(),
        stop.clone(),
    ));
    pumps.spawn(pump::<StorageClass>(
        Api::all(client.clone()),
        index.clone(),
        stop.clone(),
    ));
    pumps
}

async fn pump<K>(api: Api<K>, index: SharedIndex, stop: CancellationToken)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    Index: Indexes<K>,
{
    let events = watcher(api, watcher::Config::default()).default_backoff();
    stop.run_until_cancelled(feed(events, index)).await;
}

async fn feed<K: Resource>(events: impl Stream<Item = watcher::Result<Event<K>>>, index: SharedIndex)
where
    Index: Indexes<K>,
{
    let kind = <Index as Indexes<K>>::KIND;
    let mut events = pin!(events);
    let mut feed = Feed::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => feed.on_event(&mut index.write(), &event),
            Err(error) => {
                tracing::warn!(%kind, error = &error as &dyn std::error::Error, "watch failed; trying again");
            }
        }
    }
}
