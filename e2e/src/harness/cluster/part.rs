//! Our programs in a cluster.

use serde_json::{Value, json};

use crate::harness::kubectl::SYSTEM_NAMESPACE;
use crate::harness::sandbox::GATEWAY;

/// One of our programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Operator,
    Extender,
    NodeDriver,
}

/// What is done to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It ends, without a chance to clean up.
    Kill,
    /// It hangs.
    Stop,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Operator, Self::Extender, Self::NodeDriver];

    /// The name of the program, and of what runs its pods.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operator => "daxfit-operator",
            Self::Extender => "daxfit-extender",
            Self::NodeDriver => "daxfit-node-driver",
        }
    }

    /// What runs its pods.
    pub(crate) fn workload(self) -> String {
        format!("{}/{}", self.kind().to_lowercase(), self.name())
    }

    /// The shell command that sends a signal to its processes on their machine. The kernel keeps 15 letters of a name.
    pub(crate) fn signal_command(self, signal: Signal) -> String {
        let (kept, _) = self.name().split_at_checked(15).unwrap_or((self.name(), ""));
        let signal = match signal {
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
        };
        format!("pkill -{signal} -x {kept}")
    }

    /// The port of the API proxy that is for it.
    pub(crate) fn proxy_port(self) -> u16 {
        match self {
            Self::Operator => 16441,
            Self::Extender => 16442,
            Self::NodeDriver => 16443,
        }
    }

    /// The patch (kustomize) that leads it to the API proxy instead of the API server.
    pub(super) fn behind_proxy(self) -> Value {
        self.with_environment([
            ("KUBERNETES_SERVICE_HOST", GATEWAY.to_string()),
            ("KUBERNETES_SERVICE_PORT", self.proxy_port().to_string()),
        ])
    }

    /// The patch (kustomize) that sets these variables.
    pub(super) fn with_environment(self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Value {
        let variables = variables.into_iter();
        let environment: Vec<Value> = variables
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let container = json!({ "name": self.container(), "env": environment });
        let patch = json!({
            "apiVersion": "apps/v1",
            "kind": self.kind(),
            "metadata": { "name": self.name(), "namespace": SYSTEM_NAMESPACE },
            "spec": { "template": { "spec": { "containers": [container] } } },
        });
        json!({ "patch": patch.to_string() })
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Operator => "Deployment",
            Self::Extender | Self::NodeDriver => "DaemonSet",
        }
    }

    fn container(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Extender => "extender",
            Self::NodeDriver => "node-driver",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_the_names_that_are_killed() {
        assert_eq!(
            Part::NodeDriver.signal_command(Signal::Kill),
            "pkill -KILL -x daxfit-node-dri"
        );
        assert_eq!(
            Part::Operator.signal_command(Signal::Kill),
            "pkill -KILL -x daxfit-operator"
        );
    }
}
