//! One pump per kind of object, which carries watch events into the state.

use std::fmt::Debug;

use cluster::names::PODS_WITHOUT_NODE;
use cluster::watch::{self, Indexes};
use crds::{PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};
use kube::runtime::watcher::Config;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{SharedState, State};

/// Keeps `state` true to the cluster until `stop`. While a watch fails, what it showed last stays.
#[must_use]
pub fn watch_all(client: &Client, state: &SharedState, stop: &CancellationToken) -> JoinSet<()> {
    let mut pumps = JoinSet::new();
    let all = Config::default;
    pumps.spawn(pump::<PmemNode>(client, all(), state, stop));
    pumps.spawn(pump::<PmemVolume>(client, all(), state, stop));
    pumps.spawn(pump::<PersistentVolumeClaim>(client, all(), state, stop));
    pumps.spawn(pump::<PersistentVolume>(client, all(), state, stop));
    pumps.spawn(pump::<StorageClass>(client, all(), state, stop));
    pumps.spawn(pump::<Pod>(client, all().fields(PODS_WITHOUT_NODE), state, stop));
    pumps.spawn(pump::<CSINode>(client, all(), state, stop));
    pumps
}

fn pump<K>(
    client: &Client,
    config: Config,
    state: &SharedState,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    State: Indexes<K>,
{
    let (api, state, stop) = (Api::<K>::all(client.clone()), state.clone(), stop.clone());
    async move {
        stop.run_until_cancelled(watch::run(api, config, state)).await;
    }
}
