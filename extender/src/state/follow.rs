//! How the ledger follows what the cluster shows of claims.

use std::sync::Arc;

use cluster::{Claim, Lookup, ObjectKey};
use placement::VolumeRequest;

use super::State;
use crate::ledger::{ClaimState, Reservation};

impl State {
    /// A claim came or changed, or what it depends on did.
    pub(super) fn follow_claim(&mut self, key: &ObjectKey) {
        if let Ok(Some(claim)) = self.index.claim(key) {
            let (uid, state) = (claim.uid.clone(), self.claim_state(key, claim));
            self.claim_changed(&uid, state);
        }
    }

    /// There is no claim of that unique id any more.
    pub(super) fn claim_is_gone(&mut self, uid: &str) {
        self.claim_changed(uid, ClaimState::Deleted);
    }

    /// A volume came, changed or went. It may be shown before its claim is.
    pub(super) fn follow_volume(&mut self, name: &str) {
        let Some(uid) = Claim::uid_in_volume_name(name) else {
            return;
        };
        if let Some((key, claim)) = self.index.unbound_claim(uid) {
            let state = self.claim_state(key, claim);
            self.claim_changed(uid, state);
        } else if let Some(node) = self.index.node_making(name).cloned() {
            self.claim_changed(uid, ClaimState::HasVolume(Some(node)));
        } else if self.index.has_volume(name) {
            // It is being deleted, and takes its space itself.
            self.claim_changed(uid, ClaimState::HasVolume(None));
        }
    }

    /// A class came, changed or went: only now it is known what its claims ask for.
    pub(super) fn follow_class(&mut self, name: &str) {
        let claims: Vec<ObjectKey> = self.index.unbound_claims_of_class(name).cloned().collect();
        for key in claims {
            self.follow_claim(&key);
        }
    }

    fn claim_changed(&mut self, uid: &str, state: ClaimState) {
        let changed = self.ledger.claim_changed(uid, state);
        self.refresh_free(&changed);
    }

    fn claim_state(&self, key: &ObjectKey, claim: &Claim) -> ClaimState {
        if let Some(volume) = &claim.persistent_volume {
            let node = self.index.node_of_persistent_volume(volume).map(Into::into);
            return if self.index.has_volume(&claim.volume_name()) {
                ClaimState::HasVolume(node)
            } else {
                ClaimState::Bound(node)
            };
        }
        if let Some(node) = self.index.node_making(&claim.volume_name()) {
            return ClaimState::Making(node.clone());
        }
        match (&claim.selected_node, self.request_of(claim)) {
            (Some(node), Some(request)) => {
                let reservation = Reservation {
                    uid: (&*claim.uid).into(),
                    claim: key.clone(),
                    request,
                };
                ClaimState::Assigned((&**node).into(), Arc::new(reservation))
            }
            (None, _) | (_, None) => ClaimState::Undecided,
        }
    }

    /// What a claim of a class of ours asks for, if there can be a volume for it.
    fn request_of(&self, claim: &Claim) -> Option<VolumeRequest> {
        let class = self.index.class(claim.class.as_deref()?).ok().flatten();
        claim.request(class?.ours()?).ok()
    }
}
