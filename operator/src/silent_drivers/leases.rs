//! Which drivers are silent.

use std::collections::{HashMap, HashSet};

use cluster::ObjectKey;
use cluster::watch::Indexes;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;

/// A driver is silent after so many renewals of our own Lease without one of its own: 40 to 60 seconds.
const SILENT_AFTER: u64 = 3;

/// When each driver was heard last. A driver without a Lease was never heard, and is not silent: it may be of an earlier version.
///
/// Time passes only while our own renewals come back through the watch that shows those of the drivers. So it stands still while the
/// API server takes no writes, while our watch is behind, and while we are cut off; no clock is read.
#[derive(Debug, Default)]
pub struct Leases {
    own: Box<str>,
    /// How many of our own renewals came back.
    beats: u64,
    /// The own renewal that is on its way.
    on_its_way: Option<MicroTime>,
    heard: HashMap<Box<str>, Heard>,
}

/// When a driver was heard last.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    /// The version of its Lease.
    version: Option<String>,
    /// How many of our own renewals had come back.
    at: u64,
}

impl Leases {
    /// Our own Lease is called `own`.
    #[must_use]
    pub fn new(own: &str) -> Self {
        Self {
            own: own.into(),
            ..Self::default()
        }
    }

    /// Our own Lease is about to be renewed at this time.
    pub fn renewing(&mut self, at: &MicroTime) {
        self.on_its_way = Some(at.clone());
    }

    /// The nodes whose drivers are silent, in no particular order.
    #[must_use]
    pub fn silent(&self) -> Vec<Box<str>> {
        let is_silent = |heard: &Heard| self.beats.saturating_sub(heard.at) >= SILENT_AFTER;
        let silent = self.heard.iter().filter(|(_, heard)| is_silent(heard));
        silent.map(|(node, _)| node.clone()).collect()
    }

    /// The driver of `node` was heard in another way: it does not renew its Lease, as one of an earlier version. It is not called silent until
    /// it does, or a new list shows its Lease.
    pub fn forget(&mut self, node: &str) {
        self.heard.remove(node);
    }

    /// Another copy of this program may renew the same Lease: only our own renewal counts, and once.
    fn own_shown(&mut self, lease: &Lease) {
        let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
        if renewed.is_some() && renewed == self.on_its_way.as_ref() {
            self.on_its_way = None;
            self.beats += 1;
        }
    }

    fn driver_shown(&mut self, node: &str, version: Option<String>) {
        if self.heard.get(node).is_none_or(|before| before.version != version) {
            let at = self.beats;
            self.heard.insert(node.into(), Heard { version, at });
        }
    }
}

impl Indexes<Lease> for Leases {
    fn apply(&mut self, lease: &Lease) {
        let name = lease.name_any();
        if *name == *self.own {
            self.own_shown(lease);
        } else if let Some(node) = crds::node_of_lease(&name) {
            self.driver_shown(node, lease.resource_version());
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        if let Some(node) = crds::node_of_lease(&key.name) {
            self.heard.remove(node);
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let nodes: HashSet<&str> = listed.iter().filter_map(|key| crds::node_of_lease(&key.name)).collect();
        self.heard.retain(|node, _| nodes.contains(&**node));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    const OWN: &str = "operator";

    fn time(second: i64) -> MicroTime {
        MicroTime(Timestamp::from_second(second).unwrap())
    }

    fn lease(name: &str, version: i64) -> Lease {
        let metadata = json!({ "name": name, "resourceVersion": version.to_string() });
        serde_json::from_value(json!({ "metadata": metadata, "spec": { "renewTime": time(version) } })).unwrap()
    }

    /// One driver, heard at version 1.
    fn leases() -> Leases {
        let mut leases = Leases::new(OWN);
        leases.apply(&lease("driver-n", 1));
        leases
    }

    fn own_renewals(leases: &mut Leases, seconds: std::ops::Range<i64>) {
        for second in seconds {
            leases.renewing(&time(second));
            leases.apply(&lease(OWN, second));
        }
    }

    #[test]
    fn a_driver_is_silent_after_some_of_our_own_renewals_without_one_of_its_own() {
        let mut leases = leases();
        own_renewals(&mut leases, 10..12);
        assert!(leases.silent().is_empty());
        own_renewals(&mut leases, 12..13);
        assert_eq!(leases.silent(), ["n".into()]);
        leases.apply(&lease("driver-n", 2));
        assert!(leases.silent().is_empty(), "heard again");
    }

    #[test]
    fn what_a_new_list_shows_unchanged_was_not_heard() {
        let mut leases = leases();
        own_renewals(&mut leases, 10..13);
        leases.apply(&lease("driver-n", 1));
        assert_eq!(leases.silent(), ["n".into()]);
    }

    #[test]
    fn time_stands_still_while_our_own_renewals_do_not_come_back() {
        let mut leases = leases();
        for second in 10..100 {
            leases.renewing(&time(second));
            // That of another copy of the program.
            leases.apply(&lease(OWN, 1000 + second));
        }
        assert!(leases.silent().is_empty());
        leases.apply(&lease(OWN, 99));
        leases.apply(&lease(OWN, 99));
        assert_eq!(leases.beats, 1, "one renewal counts once");
    }

    #[test]
    fn who_is_heard_otherwise_is_not_silent() {
        let mut leases = leases();
        own_renewals(&mut leases, 10..13);
        leases.forget("n");
        own_renewals(&mut leases, 13..20);
        assert!(leases.silent().is_empty());
        leases.apply(&lease("driver-n", 2));
        own_renewals(&mut leases, 20..23);
        assert_eq!(leases.silent(), ["n".into()]);
    }

    #[test]
    fn who_has_no_lease_is_not_silent() {
        let mut leases = leases();
        own_renewals(&mut leases, 10..20);
        leases.reset(&HashSet::new());
        assert!(leases.silent().is_empty());
        leases.apply(&lease("driver-n", 1));
        own_renewals(&mut leases, 20..30);
        leases.delete(&ObjectKey::new("daxfit-system", "driver-n"));
        assert!(leases.silent().is_empty());
    }
}
