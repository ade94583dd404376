//! How the ledger follows what the cluster shows of claims.

use std::sync::Arc;

use cluster::{Claim, Lookup, ObjectKey, Pod, requirements_beside};
use placement::VolumeRequest;

use super::State;
use crate::ledger::{ClaimState, Reservation, Reserved, reservations};

impl State {
    /// A claim came or changed, or what it depends on did.
    pub(super) fn follow_claim(&mut self, key: &ObjectKey) {
        if let Ok(Some(claim)) = self.index.claim(key) {
            let (uid, state) = (claim.uid.clone(), self.claim_state(key, claim));
            self.claim_changed(&uid, state);
        }
        // What its pods require may be known only now.
        for pod in self.index.nominated_pods_with(key) {
            self.follow_pod(&pod);
        }
    }

    /// A waiting pod came or changed, or what it depends on did.
    pub(super) fn follow_pod(&mut self, key: &ObjectKey) {
        if let Some(pod) = self.index.pod(key).cloned() {
            self.pod_shown(&pod);
        }
    }

    /// What waiting pods name was seen before it was known which volumes are available.
    pub(super) fn follow_pods_anew(&mut self) {
        let pods: Vec<Pod> = self.index.nominated_pods().map(|(_, pod)| pod.clone()).collect();
        for pod in pods {
            let changed = self.ledger.forget(&pod.uid);
            self.refresh_free(&changed);
            self.pod_shown(&pod);
        }
    }

    /// A pod without a node is like this now.
    pub(super) fn pod_shown(&mut self, pod: &Pod) {
        let node = pod.nominated_node.as_ref();
        let reservations = node.map_or_else(Vec::new, |node| self.reservations_for(pod, node));
        let changed = self.ledger.pod_shown(pod, &reservations);
        self.refresh_free(&changed);
    }

    /// What the claims of a pod need on the node that it names, as far as they have no volume; nothing as long as that is not known.
    fn reservations_for(&self, pod: &Pod, node: &str) -> Vec<Arc<Reservation>> {
        let bindings = self.bindings(pod, &self.index);
        let served = bindings.on(node);
        let requirements = requirements_beside(served, pod, &self.index);
        requirements.map_or_else(
            |_| Vec::new(),
            |requirements| reservations(pod, requirements.claims(), served),
        )
    }

    /// A pod does not wait any more.
    pub(super) fn pod_is_gone(&mut self, uid: &str) {
        self.ledger.pod_gone(uid);
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
            return if claim.volume_not_made_for_it().is_some() || self.index.has_volume(&claim.volume_name()) {
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
                    pod: None,
                    reserved: Reserved::Space(request),
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
