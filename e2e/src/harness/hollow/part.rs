//! The processes beside the control plane.

/// An extender: where it serves HTTPS, and the folder in which it puts its certificates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extender {
    pub(super) part: Part,
    pub(super) port: u16,
    pub(super) certificates: &'static str,
}

/// The one of the control plane's scheduler.
pub(super) const EXTENDER: Extender = Extender {
    part: Part::Extender,
    port: 10361,
    certificates: "extender-tls",
};
/// The one of the second scheduler.
pub(super) const SECOND_EXTENDER: Extender = Extender {
    part: Part::SecondExtender,
    port: 10363,
    certificates: "second-extender-tls",
};
/// Which pods the second scheduler places.
pub(crate) const SECOND_SCHEDULER: &str = "second-scheduler";
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
    /// The extender of a second scheduler.
    SecondExtender,
    /// A second scheduler.
    SecondScheduler,
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
            Self::SecondExtender => "second-extender",
            Self::SecondScheduler => "second-scheduler",
            Self::Nodes => "hollow-nodes",
        }
    }
}

/// Nodes to be started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nodes {
    pub(crate) count: u32,
    /// The size of each region, such as "1Gi".
    pub(crate) region: &'static str,
    /// How many regions each has, every one on a NUMA node of its own.
    pub(crate) regions: u32,
}
