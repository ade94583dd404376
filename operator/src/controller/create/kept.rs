//! A volume that CreateVolume asks for, and that a node keeps although it has no PmemVolume.
//!
//! The object was deleted before there was a `PersistentVolume`, or the cluster forgot both. The claim gets that volume: a
//! second one of the same id, on another node, could not be told from it. It does so whatever node the call asks for: that node
//! may have no space left, so that kube-scheduler never chooses it. Once there is a `PersistentVolume`, kube-scheduler sees that
//! it cannot be reached from the node that it chose (`checkBindings` of its plugin `VolumeBinding`), and chooses the right one.
//!
//! One that nobody used is worth nothing: if it is not what is wanted, it is erased, and another is made.

use cluster::NoNumaNode;
use crds::{KeptVolume, NumaChoice, PmemVolume};
use placement::{NumaNode, NumaWish};
use tonic::Code;

use super::volume::pmem_volume;
use crate::controller::choose::{ChosenNode, CompanionClaims, code_of};
use crate::controller::request::CreateRequest;
use crate::controller::volume_id::VolumeId;
use crate::index::Index;
use crate::kept_volumes::{KeptPlace, KeptPlaceError, object_of};

/// Why a volume that a node keeps cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// It is not what is asked for, and somebody may have data in it.
    #[error("volume {id} is kept on node {node}, but {difference}")]
    Different {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// What is different, as the end of a sentence: "it has 28 MiB".
        difference: String,
    },
    /// It is not clear where it is.
    #[error(transparent)]
    Place(#[from] KeptPlaceError),
    /// It is not clear where its companions are, or they are not together.
    #[error("volume {id} is kept on node {node}: {reason}")]
    Companions {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// What is wrong with its companions.
        reason: NoNumaNode,
    },
}

impl KeptError {
    /// CSI "CreateVolume Errors".
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Different { .. } => Code::AlreadyExists,
            Self::Place(error) => error.code(),
            Self::Companions { reason, .. } => code_of(reason),
        }
    }
}

/// A volume that a node keeps.
pub enum Kept {
    /// Somebody may have data in it. Its claim gets it with this object.
    Used(Box<PmemVolume>),
    /// Nobody used it, and it is what is asked for. Its claim gets it.
    Unused(ChosenNode),
    /// Nobody used it, and it is not what is asked for.
    Unwanted {
        /// The object by which its node is told to erase it.
        object: Box<PmemVolume>,
        /// What is different, as the end of a sentence: "it has 28 MiB".
        difference: String,
    },
}

/// The volume if a node keeps it; none if it is to be made.
///
/// # Errors
/// If it is in use and has not the size that is asked for, or not to be told from another.
pub fn kept(index: &Index, request: &CreateRequest, companions: &CompanionClaims) -> Result<Option<Kept>, KeptError> {
    match KeptPlace::find_to_hand_out(index, request.id.as_str())? {
        None => Ok(None),
        Some(place) if place.kept.unused => unused(index, request, companions, place),
        Some(place) => used(request, place).map(Some),
    }
}

/// Its data counts, whatever the class says by now of mode and NUMA node.
fn used(request: &CreateRequest, place: KeptPlace<'_>) -> Result<Kept, KeptError> {
    if let Some(difference) = other_size(place.kept, request) {
        let (id, node) = (request.id.clone(), place.node.into());
        return Err(KeptError::Different { id, node, difference });
    }
    let chosen = ChosenNode {
        node: place.node.into(),
        numa: place.region.numa_node.map_or(NumaChoice::Any, NumaChoice::Node),
    };
    let mut volume = pmem_volume(request, chosen);
    volume.spec.mode = place.kept.mode.unwrap_or(volume.spec.mode);
    Ok(Kept::Used(Box::new(
        volume.kept(Some(&place.region.id), place.kept.unused),
    )))
}

/// A node erases what nobody has used once another node has the volume. On the node itself it is in the way, if it is not what
/// is asked for, or not where its companions are.
fn unused(
    index: &Index,
    request: &CreateRequest,
    companions: &CompanionClaims,
    place: KeptPlace<'_>,
) -> Result<Option<Kept>, KeptError> {
    if !request.nodes.allow(place.node) {
        return Ok(None);
    }
    let numa = place.region.numa_node;
    let difference = other_parameters(place.kept, numa, request).or_else(|| other_size(place.kept, request));
    let difference = match difference {
        Some(difference) => Some(difference),
        None => apart(index, request, companions, place)?,
    };
    Ok(Some(match difference {
        Some(difference) => Kept::Unwanted {
            object: Box::new(object_of(place, None)),
            difference,
        },
        None => Kept::Unused(ChosenNode {
            node: place.node.into(),
            numa: chosen(request.parameters.numa, numa),
        }),
    }))
}

/// What is different if its companions are on another NUMA node.
fn apart(
    index: &Index,
    request: &CreateRequest,
    companions: &CompanionClaims,
    place: KeptPlace<'_>,
) -> Result<Option<String>, KeptError> {
    let numa = companions.on_node(place.node, index).numa();
    let numa = numa.map_err(|reason| KeptError::Companions {
        id: request.id.clone(),
        node: place.node.into(),
        reason,
    })?;
    let others = numa.filter(|numa| place.region.numa_node.is_some_and(|own| own != *numa));
    Ok(others.map(|NumaNode(numa)| format!("the volumes that it has to be together with are on NUMA node {numa}")))
}

/// As far as the node can tell: it knows the mode of a namespace that is enabled.
fn other_parameters(kept: &KeptVolume, numa: Option<NumaNode>, request: &CreateRequest) -> Option<String> {
    if let Some(mode) = kept.mode.filter(|mode| *mode != request.parameters.mode) {
        return Some(format!("it has mode {mode:?}").to_lowercase());
    }
    let is_there = !matches!(request.parameters.numa, NumaWish::Node(wanted) if Some(wanted) != numa);
    (!is_there).then(|| "it is not on that NUMA node".into())
}

/// The same for its size.
fn other_size(kept: &KeptVolume, request: &CreateRequest) -> Option<String> {
    let (required, limit) = (request.size.required, request.size.limit);
    let usable = kept.usable?;
    let fits = usable >= required && limit.is_none_or(|limit| usable <= limit);
    (!fits).then(|| format!("it has {usable}, and this call asks for {}", request.size))
}

/// It cannot be on another NUMA node than it is.
fn chosen(wish: NumaWish, numa: Option<NumaNode>) -> NumaChoice {
    match wish {
        NumaWish::Any => NumaChoice::Any,
        NumaWish::Node(wanted) => NumaChoice::Node(wanted),
        NumaWish::Together => numa.map_or(NumaChoice::Any, NumaChoice::Node),
    }
}
