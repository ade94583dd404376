//! How QEMU runs the guest's instructions.

/// How QEMU runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accel {
    /// The processor runs them.
    Kvm,
    /// QEMU translates them.
    Tcg,
}

impl Accel {
    /// Options of QEMU. Nehalem has no AVX, which is slow to emulate; KVM takes what the host has.
    pub(super) fn arguments(self) -> &'static str {
        match self {
            Self::Kvm => "-accel kvm -cpu host",
            Self::Tcg => "-accel tcg,thread=multi -cpu Nehalem",
        }
    }

    /// `kvm` or `tcg`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// The one with that name, if there is one.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Kvm, Self::Tcg].into_iter().find(|accel| accel.name() == name)
    }
}
