//! The pod of a request: only its claims are read, everything else in it is skipped.

use cluster::{Pod, PodVolume};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// The fields that matter of a pod in JSON. It converts into a [`Pod`].
#[derive(Debug, Default, Deserialize)]
pub(super) struct SlimPod {
    #[serde(default, deserialize_with = "null_is_empty")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "null_is_empty")]
    spec: Spec,
    #[serde(default, deserialize_with = "null_is_empty")]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default, rename = "resourceVersion")]
    resource_version: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    nominated_node_name: String,
}

#[derive(Debug, Default, Deserialize)]
struct Spec {
    #[serde(default, deserialize_with = "null_is_empty")]
    volumes: Vec<Volume>,
    #[serde(default, rename = "schedulingGroup", deserialize_with = "null_is_empty")]
    scheduling_group: SchedulingGroup,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchedulingGroup {
    #[serde(default)]
    pod_group_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    #[serde(default)]
    name: String,
    #[serde(default)]
    persistent_volume_claim: Option<ClaimSource>,
    #[serde(default)]
    ephemeral: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSource {
    #[serde(default)]
    claim_name: String,
}

impl From<SlimPod> for Pod {
    fn from(pod: SlimPod) -> Self {
        let SlimPod { metadata, spec, status } = pod;
        let volumes = spec.volumes.iter().filter_map(Volume::claim);
        Self::new(&metadata.namespace, &metadata.name, &metadata.uid, volumes)
            .at(&metadata.resource_version, &status.nominated_node_name)
            .in_group(&spec.scheduling_group.pod_group_name)
    }
}

impl Volume {
    fn claim(&self) -> Option<PodVolume<'_>> {
        match (&self.persistent_volume_claim, &self.ephemeral) {
            (Some(source), _) => Some(PodVolume::Claim(&source.claim_name)),
            (None, Some(_)) => Some(PodVolume::Ephemeral(&self.name)),
            (None, None) => None,
        }
    }
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
