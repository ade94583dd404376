//! A volume that CreateVolume asks for, and that a node keeps although it has no PmemVolume.
//!
//! The object was deleted before there was a `PersistentVolume`, or the cluster forgot both. The claim gets that volume: a
//! second one of the same id, on another node, could not be told from it. It does so whatever node the call asks for: that node
//! may have no space left, so that kube-scheduler never chooses it. Once there is a `PersistentVolume`, kube-scheduler sees that
//! it cannot be reached from the node that it chose (`checkBindings` of its plugin `VolumeBinding`), and chooses the right one.

use crds::{KeptVolume, NumaChoice};
use placement::{NumaNode, NumaWish};
use tonic::Code;

use crate::controller::choose::ChosenNode;
use crate::controller::request::CreateRequest;
use crate::controller::volume_id::VolumeId;
use crate::index::Index;
use crate::kept_volumes::{KeptPlace, KeptPlaceError};

/// Why a volume that a node keeps cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptError {
    /// It is not what is asked for.
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
}

impl KeptError {
    /// CSI "CreateVolume Errors".
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Different { .. } => Code::AlreadyExists,
            Self::Place(error) => error.code(),
        }
    }
}

/// A volume that a node keeps.
pub struct Kept {
    /// Where it is.
    pub place: ChosenNode,
    /// Whether somebody may have data in it.
    pub is_used: bool,
}

/// The volume if a node keeps it; none if it is to be made.
///
/// # Errors
/// If it is not what is asked for, or not to be told from another.
pub fn kept_place(index: &Index, request: &CreateRequest) -> Result<Option<Kept>, KeptError> {
    let Some(place) = KeptPlace::find(index, request.id.as_str())? else {
        return Ok(None);
    };
    let (id, node) = (request.id.clone(), place.node.to_owned());
    let numa = place.region.numa_node;
    // A node erases what nobody has used once another node has the volume.
    if place.kept.unused && !request.nodes.allow(&node) {
        return Ok(None);
    }
    if let Some(difference) = difference(place.kept, numa, request) {
        return Err(KeptError::Different { id, node, difference });
    }
    let numa = chosen(request.parameters.numa, numa);
    Ok(Some(Kept {
        place: ChosenNode { node, numa },
        is_used: !place.kept.unused,
    }))
}

/// As far as the node can tell: it knows mode and size of a namespace that is enabled.
fn difference(kept: &KeptVolume, numa: Option<NumaNode>, request: &CreateRequest) -> Option<String> {
    if let Some(mode) = kept.mode.filter(|mode| *mode != request.parameters.mode) {
        return Some(format!("it has mode {mode:?}").to_lowercase());
    }
    if matches!(request.parameters.numa, NumaWish::Node(wanted) if Some(wanted) != numa) {
        return Some("it is not on that NUMA node".into());
    }
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
