//! Where the data of a volume without PmemVolume is.

use cluster::Claim;
use crds::{KeptVolume, RegionStatus};
use tonic::Code;

use crate::index::{Index, OnDevice};

/// Where the data of a volume without PmemVolume is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptPlace<'a> {
    /// The node.
    pub node: &'a str,
    /// The region.
    pub region: &'a RegionStatus,
    /// What the node says of it.
    pub kept: &'a KeptVolume,
}

/// Why it is not clear where the data of a volume without PmemVolume is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptPlaceError {
    /// Its node has not reported since the object vanished, or its label has a mark that the node does not know.
    #[error(
        "volume {volume} is on node {node}, which says neither that it is kept nor that it is erased: see whether its driver runs"
    )]
    NotReported {
        /// The id of the volume.
        volume: String,
        /// The node.
        node: String,
    },
    /// Nobody can tell which of them is meant.
    #[error(
        "more than one namespace has the mark of volume {volume}, on nodes {}: destroy the one that does not belong there \
         with ndctl",
        nodes.join(", ")
    )]
    OnSeveralNodes {
        /// The id of the volume.
        volume: String,
        /// The node of each namespace.
        nodes: Vec<String>,
    },
}

impl KeptPlaceError {
    /// ABORTED makes external-provisioner call again.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotReported { .. } => Code::Aborted,
            Self::OnSeveralNodes { .. } => Code::FailedPrecondition,
        }
    }
}

impl<'a> KeptPlace<'a> {
    /// Whether nobody used it and it was made for a claim: it is that claim's, or is deleted
    /// ([`unclaimed_volumes`](crate::unclaimed_volumes)). It waits for nobody.
    #[must_use]
    pub fn is_claims_and_unused(&self) -> bool {
        self.kept.unused && Claim::uid_in_volume_name(&self.kept.name).is_some()
    }

    /// Where the data of `volume` is, which has no PmemVolume; none if no node has it, or its bytes are being erased.
    ///
    /// # Errors
    /// If that is not clear, or not yet.
    pub fn find(index: &'a Index, volume: &str) -> Result<Option<Self>, KeptPlaceError> {
        Self::among(volume, index.reports_of(volume))
    }

    /// The same for a volume that is asked for and was never handed out: a silent node that made it does not have to say that it
    /// is kept. The node erases it when it is back.
    ///
    /// # Errors
    /// If that is not clear, or not yet.
    pub fn find_to_hand_out(index: &'a Index, volume: &str) -> Result<Option<Self>, KeptPlaceError> {
        Self::among(volume, without_silent(index, volume))
    }

    fn among(volume: &str, mut reports: Vec<(&'a str, OnDevice<'a>)>) -> Result<Option<Self>, KeptPlaceError> {
        reports.retain(|(_, report)| *report != OnDevice::Erasing);
        if reports.iter().all(|(_, report)| is_unused(report)) {
            // Any of them will do: the nodes erase the others, once there is an object.
            reports.truncate(1);
        } else {
            reports.retain(|(_, report)| !is_unused(report));
        }
        Self::only(volume, &reports)
    }

    /// Where somebody may have data of `volume` although its PmemVolume is on `node`: on another node, where it was made later than
    /// what the cluster was restored to.
    ///
    /// # Errors
    /// If that is not clear, or not yet.
    pub fn elsewhere(index: &'a Index, volume: &str, node: &str) -> Result<Option<Self>, KeptPlaceError> {
        let mut reports = without_silent(index, volume);
        reports.retain(|(on, report)| *on != node && *report != OnDevice::Erasing && !is_unused(report));
        Self::only(volume, &reports)
    }

    fn only(volume: &str, reports: &[(&'a str, OnDevice<'a>)]) -> Result<Option<Self>, KeptPlaceError> {
        match *reports {
            [] | [(_, OnDevice::Erasing)] => Ok(None),
            [(node, OnDevice::Kept(region, kept))] => Ok(Some(Self { node, region, kept })),
            [(node, OnDevice::Known | OnDevice::Earlier)] => Err(KeptPlaceError::NotReported {
                volume: volume.into(),
                node: node.into(),
            }),
            _ => Err(KeptPlaceError::OnSeveralNodes {
                volume: volume.into(),
                nodes: reports.iter().map(|(node, _)| (*node).into()).collect(),
            }),
        }
    }
}

/// What the nodes report of `volume`, but for what silent nodes reported of it before its object was gone.
fn without_silent<'a>(index: &'a Index, volume: &str) -> Vec<(&'a str, OnDevice<'a>)> {
    let mut reports = index.reports_of(volume);
    reports.retain(|(node, report)| *report != OnDevice::Known || !index.is_silent(node));
    reports
}

/// Whether nobody has data in it.
fn is_unused(report: &OnDevice<'_>) -> bool {
    matches!(report, OnDevice::Kept(_, kept) if kept.unused)
}
