//! What nobody makes a volume of ours for.

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;

/// A claim asks for something that no volume of ours can be, whatever its size. external-provisioner leaves such a claim with
/// the node that was selected for it (`ProvisionExt` and `prepareProvision` in its `pkg/controller`), so it must not get one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// It is to be filled from a snapshot or another volume.
    #[error("a volume cannot be made from a snapshot or another volume: remove the claim's dataSource")]
    ContentSource,
    /// It has parameters that could change later.
    #[error("a volume has no parameters that can change: remove the claim's volumeAttributesClassName")]
    MutableParameters,
    /// It selects a `PersistentVolume` by its labels.
    #[error(
        "no volume is made for a claim with a selector: remove it, or name a PersistentVolume that exists in the claim's \
         volumeName"
    )]
    Selector,
}

impl Unsupported {
    /// # Errors
    /// The first thing that the claim asks for and cannot get.
    pub(crate) fn check(claim: &PersistentVolumeClaimSpec) -> Result<(), Self> {
        let attributes = claim.volume_attributes_class_name.as_deref().unwrap_or_default();
        if is_copy(claim) {
            Err(Self::ContentSource)
        } else if !attributes.is_empty() {
            Err(Self::MutableParameters)
        } else if claim.selector.is_some() {
            Err(Self::Selector)
        } else {
            Ok(())
        }
    }
}

/// Whether external-provisioner is to fill the volume. All other kinds of sources are left to their populators, which make a
/// volume of their own for the claim.
fn is_copy(claim: &PersistentVolumeClaimSpec) -> bool {
    let source = claim.data_source.as_ref().map(|source| &*source.kind);
    let source = source.or_else(|| claim.data_source_ref.as_ref().map(|source| &*source.kind));
    matches!(source, Some("PersistentVolumeClaim" | "VolumeSnapshot"))
}
