//! The processes beside the control plane.

/// Where the extender serves HTTPS.
pub(super) const EXTENDER_PORT: u16 = 10361;
/// Where the provisioner serves its metrics.
pub(super) const PROVISIONER_PORT: u16 = 10362;

/// A process beside the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The external-provisioner.
    Provisioner,
    /// Our operator.
    Operator,
    /// Our extender.
    Extender,
    /// All hollow nodes: one process.
    Nodes,
}

impl Part {
    /// The name of its log, and in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Provisioner => "provisioner",
            Self::Operator => "operator",
            Self::Extender => "extender",
            Self::Nodes => "hollow-nodes",
        }
    }
}

/// Nodes to be started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nodes {
    pub(crate) count: u32,
    /// The size of each of the two regions, such as "1Gi". Each is on a NUMA node of its own.
    pub(crate) region: &'static str,
}
