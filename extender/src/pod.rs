//! The parts of a pod that matter here. Everything else in it is skipped, never kept.

use k8s_openapi::api::core::v1 as api;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// The parts of a pod that matter here.
#[derive(Debug, Default, Deserialize)]
pub struct Pod {
    /// Who it is.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub metadata: PodMetadata,
    /// What it uses.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub spec: PodSpec,
}

/// Who a pod is.
#[derive(Debug, Default, Deserialize)]
pub struct PodMetadata {
    /// Its namespace.
    #[serde(default)]
    pub namespace: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its unique id.
    #[serde(default)]
    pub uid: String,
}

/// What a pod uses.
#[derive(Debug, Default, Deserialize)]
pub struct PodSpec {
    /// Its volumes, of all kinds.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub volumes: Vec<Volume>,
}

/// A volume of a pod.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Its name within the pod.
    #[serde(default)]
    pub name: String,
    /// The claim it stands for.
    #[serde(default)]
    pub persistent_volume_claim: Option<ClaimSource>,
    /// That a claim is made for it with the pod.
    #[serde(default)]
    pub ephemeral: Option<IgnoredAny>,
}

/// A claim by its name.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSource {
    /// Its name in the pod's namespace.
    #[serde(default)]
    pub claim_name: String,
}

impl From<api::Pod> for Pod {
    fn from(pod: api::Pod) -> Self {
        let volumes = pod.spec.and_then(|spec| spec.volumes).unwrap_or_default();
        Self {
            metadata: PodMetadata {
                namespace: pod.metadata.namespace.unwrap_or_default(),
                name: pod.metadata.name.unwrap_or_default(),
                uid: pod.metadata.uid.unwrap_or_default(),
            },
            spec: PodSpec {
                volumes: volumes.into_iter().map(Volume::from).collect(),
            },
        }
    }
}

impl From<api::Volume> for Volume {
    fn from(volume: api::Volume) -> Self {
        Self {
            name: volume.name,
            persistent_volume_claim: volume.persistent_volume_claim.map(|source| ClaimSource {
                claim_name: source.claim_name,
            }),
            ephemeral: volume.ephemeral.map(|_| IgnoredAny),
        }
    }
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
