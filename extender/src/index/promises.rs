//! How the index tells the ledger what it sees, and the nodes what the ledger says.

use std::sync::Arc;
use std::time::Instant;

use super::{Claim, Class, Index, ObjectKey};
use crate::ledger::{Ledger, Promise, Standing, Touched};

impl Index {
    /// An empty index with this ledger.
    #[must_use]
    pub fn with_ledger(ledger: Ledger) -> Self {
        Self {
            ledger,
            ..Self::default()
        }
    }

    /// The claims of `pod` are promised space on each of `nodes`: see [`Ledger::decide`].
    pub fn decide(&mut self, pod: &str, promises: &[Arc<Promise>], nodes: &[&str], now: Instant) {
        let touched = self.ledger.decide(pod, promises, nodes, now);
        self.refresh(&touched);
    }

    /// Only `nodes` are left for the claims of `pod`: see [`Ledger::narrow`].
    pub fn narrow(&mut self, pod: &str, claims: &[&str], nodes: &[&str]) {
        let touched = self.ledger.narrow(pod, claims, nodes);
        self.refresh(&touched);
    }

    /// It is `now`: see [`Ledger::tick`].
    pub fn tick(&mut self, now: Instant) {
        let touched = self.ledger.tick(now);
        self.refresh(&touched);
    }

    /// A claim is there, or has changed, or what it depends on has.
    pub(super) fn follow(&mut self, key: &ObjectKey) {
        let Some(claim) = self.claims.get(key) else {
            return;
        };
        let uid: Arc<str> = (&*claim.uid).into();
        let standing = self.standing(key, claim, &uid);
        if claim.volume.is_none() {
            self.unbound.insert(uid.clone(), key.clone());
        } else {
            self.unbound.remove(&uid);
        }
        self.stands(&uid, standing);
    }

    /// A claim of that unique id is no more.
    pub(super) fn forget_claim(&mut self, uid: &str) {
        self.unbound.remove(uid);
        self.stands(uid, Standing::Gone);
    }

    /// A volume came, changed or went.
    pub(super) fn follow_volume(&mut self, name: &str) {
        let Some(uid) = Claim::uid_in_name_of_volume(name) else {
            return;
        };
        match (self.unbound.get(uid).cloned(), self.node_making_volume(name).cloned()) {
            (Some(key), _) => self.follow(&key),
            (None, Some(node)) => self.stands(uid, Standing::Settled(Some(node))),
            (None, None) => {}
        }
    }

    /// A class came, changed or went: only now it is known what its claims want.
    pub(super) fn follow_class(&mut self, name: &str) {
        let of_class = |key: &&ObjectKey| {
            let claim = self.claims.get(*key);
            claim.is_some_and(|claim| claim.class.as_deref() == Some(name))
        };
        let claims: Vec<ObjectKey> = self.unbound.values().filter(of_class).cloned().collect();
        for key in claims {
            self.follow(&key);
        }
    }

    /// Tells a node what is promised on it, if anything is known about it.
    pub(super) fn refresh_node(&mut self, node: &str) {
        if let Some(space) = self.nodes.get_mut(node) {
            space.promise(self.ledger.on(node).map(|(promise, _)| promise.clone()).collect());
        }
    }

    fn refresh(&mut self, touched: &Touched) {
        for node in touched {
            self.refresh_node(node);
        }
    }

    fn stands(&mut self, uid: &str, standing: Standing) {
        let touched = self.ledger.stands(uid, standing);
        self.refresh(&touched);
    }

    fn standing(&self, key: &ObjectKey, claim: &Claim, uid: &Arc<str>) -> Standing {
        if let Some(volume) = &claim.volume {
            let node = self.node_of_persistent_volume(volume).map(Into::into);
            let shown = self.volumes.contains_key(claim.name_of_volume().as_str());
            return if shown {
                Standing::Settled(node)
            } else {
                Standing::Bound(node)
            };
        }
        if let Some(node) = self.node_making_volume(&claim.name_of_volume()) {
            return Standing::Settled(Some(node.clone()));
        }
        let class = claim.class.as_ref().and_then(|class| self.classes.get(class));
        match (&claim.selected_node, class, &claim.size) {
            (Some(node), Some(Class::Ours(Ok(parameters))), Ok((required, limit))) => {
                let promise = Promise {
                    uid: uid.clone(),
                    claim: key.clone(),
                    request: parameters.request(*required, *limit),
                };
                Standing::Given((&**node).into(), promise.into())
            }
            _ => Standing::Undecided,
        }
    }
}
