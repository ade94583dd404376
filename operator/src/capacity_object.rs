//! A CSIStorageCapacity object of ours: how it is written, and how it is read back.

use std::collections::BTreeMap;

use cluster::names::{DRIVER_LABEL, MANAGED_BY_LABEL};
use crds::{DRIVER_NAME, MANAGED_BY, PmemNode, TOPOLOGY_KEY, bytes_of_quantity, quantity_of_bytes};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;
use placement::{Bytes, NumaNode};

use crate::hash::hex;

/// The label for the NUMA node, or `none`.
pub const NUMA_LABEL: &str = "csi.daxfit.dev/numa";

/// What an object says: the largest volume of `class` that fits on `numa` of `node` has `usable` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The name of the node.
    pub node: String,
    /// The NUMA node, or none for regions that have none.
    pub numa: Option<NumaNode>,
    /// The name of the StorageClass.
    pub class: String,
    /// The uid of the PmemNode that owns the object: Kubernetes deletes the object with it.
    pub owner: String,
    /// The usable bytes of that volume, 0 if there is none.
    pub usable: Bytes,
}

/// A CSIStorageCapacity object that exists, in reduced form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedCapacity {
    /// Its uid.
    pub uid: String,
    /// Its version: a write or a deletion names it, so that a newer version is never overwritten.
    pub resource_version: String,
    /// The name of its node; none if its topology does not name one.
    pub node: Option<String>,
    /// What it says; none if somebody changed a part that only we write.
    pub capacity: Option<Capacity>,
}

impl Capacity {
    /// The name of the object: readable, and unique through a hash of node, NUMA node and class.
    #[must_use]
    pub fn name(&self) -> String {
        let numa = self.numa_text();
        let mut readable = format!("{}.numa-{numa}.{}", self.node, self.class);
        readable.truncate(READABLE);
        let readable = readable.trim_end_matches(['.', '-']);
        let hash = hex(&format!("{}/{numa}/{}", self.node, self.class), 6);
        format!("{readable}.{hash}")
    }

    /// The object, for its creation in `namespace`.
    #[must_use]
    pub fn to_object(&self, namespace: &str) -> CSIStorageCapacity {
        CSIStorageCapacity {
            metadata: ObjectMeta {
                name: Some(self.name()),
                namespace: Some(namespace.into()),
                labels: Some(self.labels()),
                owner_references: Some(vec![self.owner_reference()]),
                ..ObjectMeta::default()
            },
            node_topology: Some(LabelSelector {
                match_labels: Some([(TOPOLOGY_KEY.into(), self.node.clone())].into()),
                match_expressions: None,
            }),
            storage_class_name: self.class.clone(),
            capacity: Some(quantity_of_bytes(self.usable)),
            maximum_volume_size: Some(quantity_of_bytes(self.usable)),
        }
    }

    /// A merge patch of what may change after the creation, for the version `resource_version` of the object `uid`.
    #[must_use]
    pub fn to_patch(&self, uid: &str, resource_version: &str) -> serde_json::Value {
        serde_json::json!({
            "metadata": {
                "uid": uid,
                "resourceVersion": resource_version,
                "ownerReferences": [self.owner_reference()],
            },
            "capacity": quantity_of_bytes(self.usable),
            "maximumVolumeSize": quantity_of_bytes(self.usable),
        })
    }

    fn numa_text(&self) -> String {
        self.numa.map_or("none".into(), |numa| numa.to_string())
    }

    fn labels(&self) -> BTreeMap<String, String> {
        [
            (DRIVER_LABEL.into(), DRIVER_NAME.into()),
            (MANAGED_BY_LABEL.into(), MANAGED_BY.into()),
            (NUMA_LABEL.into(), self.numa_text()),
        ]
        .into()
    }

    fn owner_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: PmemNode::api_version(&()).into_owned(),
            kind: PmemNode::kind(&()).into_owned(),
            name: self.node.clone(),
            uid: self.owner.clone(),
            ..OwnerReference::default()
        }
    }
}

impl PublishedCapacity {
    /// Reads an object that carries our label [`MANAGED_BY_LABEL`].
    #[must_use]
    pub fn of(object: &CSIStorageCapacity) -> Self {
        let capacity = parse(object).filter(|capacity| is_as_written(object, capacity));
        Self {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            resource_version: object.metadata.resource_version.clone().unwrap_or_default(),
            node: node_of(object),
            capacity,
        }
    }
}

/// Longest name of an object (253) without the hash.
const READABLE: usize = 240;

fn node_of(object: &CSIStorageCapacity) -> Option<String> {
    let labels = object.node_topology.as_ref()?.match_labels.as_ref()?;
    labels.get(TOPOLOGY_KEY).cloned()
}

fn parse(object: &CSIStorageCapacity) -> Option<Capacity> {
    let numa = match object.metadata.labels.as_ref()?.get(NUMA_LABEL)?.as_str() {
        "none" => None,
        number => Some(NumaNode(number.parse().ok()?)),
    };
    Some(Capacity {
        node: node_of(object)?,
        numa,
        class: object.storage_class_name.clone(),
        owner: object.metadata.owner_references.as_ref()?.first()?.uid.clone(),
        usable: bytes_of_quantity(object.capacity.as_ref()?).ok()?,
    })
}

/// Whether every part that only we write is as we write it.
fn is_as_written(object: &CSIStorageCapacity, capacity: &Capacity) -> bool {
    let written = capacity.to_object("");
    let maximum = object.maximum_volume_size.as_ref().map(bytes_of_quantity);
    let labels = object.metadata.labels.as_ref();
    object.metadata.name == written.metadata.name
        && object.node_topology == written.node_topology
        && object.metadata.owner_references == written.metadata.owner_references
        && maximum == Some(Ok(capacity.usable))
        && written
            .metadata
            .labels
            .iter()
            .flatten()
            .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity() -> Capacity {
        Capacity {
            node: "n1".into(),
            numa: Some(NumaNode(1)),
            class: "fast".into(),
            owner: "uid-1".into(),
            usable: Bytes::mib(502),
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        let published = PublishedCapacity::of(&capacity().to_object("ns"));
        assert_eq!(published.capacity, Some(capacity()));
        assert_eq!(published.node.as_deref(), Some("n1"));
    }

    #[test]
    fn quantities_may_come_back_in_other_words() {
        let mut object = capacity().to_object("ns");
        object.capacity.as_mut().unwrap().0 = "502Mi".into();
        assert_eq!(PublishedCapacity::of(&object).capacity, Some(capacity()));
    }

    #[test]
    fn what_somebody_changed_is_not_as_written() {
        let tampered: [fn(&mut CSIStorageCapacity); 5] = [
            |o| o.maximum_volume_size = None,
            |o| o.metadata.labels.as_mut().unwrap().clear(),
            |o| o.metadata.owner_references = None,
            |o| o.storage_class_name = "other".into(),
            |o| o.node_topology = None,
        ];
        for tamper in tampered {
            let mut object = capacity().to_object("ns");
            tamper(&mut object);
            assert_eq!(PublishedCapacity::of(&object).capacity, None);
        }
    }

    #[test]
    fn names_are_unique_and_valid_however_long() {
        let long = Capacity {
            node: "n".repeat(253),
            class: "c".repeat(253),
            ..capacity()
        };
        let other = Capacity {
            class: "d".repeat(253),
            ..long.clone()
        };
        assert_ne!(long.name(), other.name());
        assert!(long.name().len() <= 253);
        assert_eq!(
            capacity().name(),
            format!("n1.numa-1.fast.{}", &capacity().name()[15..])
        );
    }
}
