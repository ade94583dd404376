//! One volume on one node.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema, ResourceExt as _};
use placement::{Bytes, Extent, MapLocation, Mode, NumaNode, NumaWish, RegionId, VolumeRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{
    AMBIGUOUS_NAMESPACE, KEPT, KEPT_IN, NAMESPACE_DISABLED, NEWER_MARK, PROVISIONED, REGION_AWAY, UNUSED, USED,
    WRONG_MODE, WRONG_SIZE,
};

/// One volume on one node. Its name is the id of the CSI volume and the name of the namespace.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "daxfit.dev",
    version = "v1alpha1",
    kind = "PmemVolume",
    plural = "pmemvolumes",
    shortname = "pmv",
    category = "daxfit",
    status = "PmemVolumeStatus",
    derive = "PartialEq",
    selectable = ".spec.node",
    validation = ("self.spec == oldSelf.spec", "a volume is what it was made as: its spec cannot change"),
    validation = ("size(self.metadata.name) <= 63", "the name of a volume is the name of its namespace: at most 63 bytes"),
    doc = "A volume of persistent memory on one node. Made by the operator, carried out by the node's driver. Its name is the name of the namespace.",
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.node"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Required", type_ = "integer", json_path = ".spec.required", description = "Usable bytes asked for"),
    printcolumn(name = "Usable", type_ = "integer", json_path = ".status.usable", description = "Usable bytes it has"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Region", type_ = "string", json_path = ".status.region", priority = "1"),
    printcolumn(name = "Claim", type_ = "string", json_path = ".spec.claim.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("!has(self.limit) || self.limit >= self.required", "limit must be at least required"))]
pub struct PmemVolumeSpec {
    /// The node it is on.
    #[schemars(length(min = 1, max = 253))]
    pub node: String,
    /// Usable bytes that it has at least.
    #[schemars(range(min = 1))]
    pub required: Bytes,
    /// Usable bytes that it has at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Bytes>,
    /// How the namespace presents its bytes.
    pub mode: VolumeMode,
    /// Where the kernel keeps the page map of a fsdax namespace.
    #[serde(default)]
    pub map: MapLocation,
    /// The NUMA node it has to be on.
    #[serde(default)]
    pub numa: NumaChoice,
    /// What happens to its bytes when it is deleted.
    #[serde(default)]
    pub erase: ErasePolicy,
    /// Bytes that are erased in a second at most; without, as many as possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase_rate: Option<Bytes>,
    /// The claim it was made for, if the provisioner said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimRef>,
}

/// How a namespace presents its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum VolumeMode {
    /// File systems and block devices that can be mapped directly (DAX).
    #[default]
    Fsdax,
    /// Power-fail atomic sectors (BTT), no DAX.
    Sector,
}

/// The NUMA node a volume has to be on: "any", or its number.
///
/// What a class wishes can also be to be together with other volumes ([`NumaWish::Together`]). Once there is a volume, it
/// is settled what that comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NumaChoice {
    /// Wherever it fits best.
    #[default]
    Any,
    /// Only on this one.
    Node(NumaNode),
}

/// What happens to the bytes of a deleted volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ErasePolicy {
    /// Zeros are written before the space is free again.
    #[default]
    Zero,
}

/// The claim a volume was made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ClaimRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What the node's driver did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PmemVolumeStatus {
    /// Where it stands; none until the driver has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The region it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<RegionId>,
    /// The raw bytes it takes in that region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub footprint: Option<Extent>,
    /// Usable bytes it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable: Option<Bytes>,
    /// The first layoutRevision of its node whose extents contain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout_revision: Option<i64>,
    /// What is wrong and what to do about it.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Where a volume stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Phase {
    /// The driver is making its namespace.
    Provisioning,
    /// It can be staged.
    Ready,
    /// It does not fit on its node; nothing was made. Final.
    Refused,
    /// It was deleted and zeros are being written. Versions before there were marks on the device wrote this.
    Erasing,
}

/// How far erasing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct EraseProgress {
    /// Raw bytes that are zero.
    pub done: Bytes,
    /// Raw bytes in all.
    pub total: Bytes,
}

/// Reasons of [`PROVISIONED`] that a node gives because of a namespace that it met, or that it may not see.
const MET: [&str; 6] = [
    AMBIGUOUS_NAMESPACE,
    NAMESPACE_DISABLED,
    NEWER_MARK,
    REGION_AWAY,
    WRONG_MODE,
    WRONG_SIZE,
];

impl PmemVolume {
    /// Notes that the object was made anew for a namespace that is there, in this region if that is known. It replaces all other
    /// annotations: the object is new.
    #[must_use]
    pub fn kept(mut self, region: Option<&RegionId>, is_unused: bool) -> Self {
        let value = if is_unused { UNUSED } else { USED };
        let kept = [(KEPT.to_owned(), value.to_owned())].into_iter();
        let region = region.map(|region| (KEPT_IN.to_owned(), region.to_string()));
        self.metadata.annotations = Some(kept.chain(region).collect());
        self
    }

    /// Whether its namespace was there when its object was made anew ([`KEPT`]).
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.annotations().contains_key(KEPT)
    }

    /// Whether there may be a namespace of it in which somebody has data from before there was this object, although nothing else
    /// in the cluster may tell of it: the object was made anew for that, or its node came across it before it made one.
    #[must_use]
    pub fn may_have_earlier_data(&self) -> bool {
        let is_kept = self.annotations().get(KEPT).is_some_and(|value| value != UNUSED);
        let has_met_one = |condition: &Condition| MET.contains(&&*condition.reason);
        let nothing_made = self.status.as_ref().is_some_and(|status| status.phase.is_none());
        is_kept || (nothing_made && self.provisioned().is_some_and(has_met_one))
    }

    /// Its condition [`PROVISIONED`], once its node has written it.
    #[must_use]
    pub fn provisioned(&self) -> Option<&Condition> {
        let mut conditions = self.status.as_ref()?.conditions.iter();
        conditions.find(|condition| condition.type_ == PROVISIONED)
    }

    /// Whether it had a namespace, and so never gets another: it was there when the object was made anew ([`KEPT`]), or its node
    /// recorded what it takes. Whatever the phase says: somebody may have written that by hand.
    #[must_use]
    pub fn had_namespace(&self) -> bool {
        let was_ready = |status: &PmemVolumeStatus| {
            status.footprint.is_some() || matches!(status.phase, Some(Phase::Ready | Phase::Erasing))
        };
        self.is_kept() || self.status.as_ref().is_some_and(was_ready)
    }

    /// The region of its namespace: where its node recorded it, or where it was when its object was made anew ([`KEPT_IN`]).
    #[must_use]
    pub fn region(&self) -> Option<RegionId> {
        let recorded = self.status.as_ref().and_then(|status| status.region.clone());
        recorded.or_else(|| Some(RegionId(self.annotations().get(KEPT_IN)?.clone())))
    }
}

impl PmemVolumeSpec {
    /// What the volume asks of a node.
    #[must_use]
    pub fn request(&self) -> VolumeRequest {
        VolumeRequest {
            required: self.required,
            limit: self.limit,
            mode: self.mode.with_map(self.map),
            numa: self.numa.into(),
        }
    }
}

impl VolumeMode {
    /// The mode as placement sees it; `map` matters for fsdax only.
    #[must_use]
    pub fn with_map(self, map: MapLocation) -> Mode {
        match self {
            Self::Fsdax => Mode::Fsdax(map),
            Self::Sector => Mode::Sector,
        }
    }
}

impl From<NumaChoice> for NumaWish {
    fn from(choice: NumaChoice) -> Self {
        match choice {
            NumaChoice::Any => Self::Any,
            NumaChoice::Node(numa) => Self::Node(numa),
        }
    }
}

impl From<NumaChoice> for String {
    fn from(choice: NumaChoice) -> Self {
        match choice {
            NumaChoice::Any => "any".into(),
            NumaChoice::Node(numa) => numa.to_string(),
        }
    }
}

impl TryFrom<String> for NumaChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let numa = text
            .parse()
            .map_err(|_| format!("\"{text}\" is neither \"any\" nor the number of a NUMA node"))?;
        Ok(Self::Node(NumaNode(numa)))
    }
}

impl JsonSchema for NumaChoice {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NumaChoice".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^(any|[0-9]{1,5})$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        for choice in [
            NumaChoice::Any,
            NumaChoice::Node(NumaNode(0)),
            NumaChoice::Node(NumaNode(17)),
        ] {
            let text = serde_json::to_value(choice).unwrap();
            assert_eq!(serde_json::from_value::<NumaChoice>(text).unwrap(), choice);
        }
        assert!(NumaChoice::try_from("together".to_owned()).is_err());
    }
}
