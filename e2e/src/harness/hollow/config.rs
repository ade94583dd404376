//! How often the parts of Kubernetes may call the API server, and what else their configuration needs.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::cluster::control_plane::flag;

/// How often a client may call the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limits {
    /// As each program has it by default, or as our manifests say: the scheduler 50 calls a second, the controllers 20.
    Default,
    /// So often that only the machine limits them.
    Lifted,
}

const QPS: u32 = 5000;
const BURST: u32 = 10_000;

impl Limits {
    /// Flags of the controller manager. Nodes without a kubelet send no heartbeat; the node lifecycle controller has to run
    /// all the same, because it takes the taint off new nodes, so its grace period for heartbeats is a day.
    pub(super) fn controller_flags(self) -> Vec<String> {
        let no_heartbeats = vec![flag("node-monitor-grace-period", "24h")];
        [no_heartbeats, self.flags()].concat()
    }

    /// The limits as the flags of controller manager and provisioner.
    pub(super) fn flags(self) -> Vec<String> {
        match self {
            Self::Default => Vec::new(),
            Self::Lifted => vec![flag("kube-api-qps", QPS), flag("kube-api-burst", BURST)],
        }
    }

    /// The scheduler's configuration as shipped, with these limits, and with the certificates of the extender in that
    /// folder, or without an extender.
    pub(super) fn scheduler_config(self, mut shipped: Value, certificates: Option<&Path>) -> Value {
        if self == Self::Lifted {
            shipped["clientConnection"]["qps"] = json!(QPS);
            shipped["clientConnection"]["burst"] = json!(BURST);
        }
        let Some(certificates) = certificates else {
            shipped["extenders"] = json!([]);
            return shipped;
        };
        let tls = &mut shipped["extenders"][0]["tlsConfig"];
        for (key, file) in [
            ("caFile", "ca.crt"),
            ("certFile", "client.crt"),
            ("keyFile", "client.key"),
        ] {
            tls[key] = json!(certificates.join(file));
        }
        shipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::cluster::install;

    #[test]
    fn only_limits_and_places_differ_from_what_is_shipped() {
        let shipped = install::scheduler_config().unwrap();
        let mut config = Limits::Lifted.scheduler_config(shipped.clone(), Some(Path::new("/certificates")));
        assert_eq!(config["clientConnection"]["qps"], QPS);
        assert_eq!(
            config["extenders"][0]["tlsConfig"]["keyFile"],
            "/certificates/client.key"
        );
        config["clientConnection"] = shipped["clientConnection"].clone();
        config["extenders"][0]["tlsConfig"] = shipped["extenders"][0]["tlsConfig"].clone();
        assert_eq!(config, shipped);
    }

    #[test]
    fn only_lifted_limits_are_flags() {
        assert!(Limits::Lifted.flags()[0].starts_with("--kube-api-qps"));
        assert!(Limits::Default.flags().is_empty());
    }

    #[test]
    fn without_an_extender_none_is_asked() {
        let shipped = install::scheduler_config().unwrap();
        let config = Limits::Default.scheduler_config(shipped.clone(), None);
        assert_eq!(config["extenders"], json!([]));
        assert_eq!(config["clientConnection"], shipped["clientConnection"]);
    }
}
