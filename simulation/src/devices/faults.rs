//! What can go wrong with hardware and kernel. One who adds a fault touches this file alone.
//!
//! Whatever asks the kernel for something says which [`Call`] it is; [`Faults::refuses`] says whether that fails. What becomes
//! of labels has more ways than to fail: [`Faults::label`].

use std::collections::BTreeSet;
use std::io;

use rustix::io::Errno;

/// What can go wrong with hardware and kernel of a node, for as long as it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceFault {
    /// The modules keep no label that is written, although the kernel goes by what it was told: it answers that the label is not
    /// recorded, and after a reboot the old one is there, or a mixture of both.
    LabelsLost,
    /// Writing a label is an I/O error, and the old one stays.
    LabelsRefused,
    /// A label is half written if the run is killed, or the power cut, while it writes it.
    LabelsTorn,
    /// Every listing fails.
    ListingFails,
    /// Every second listing fails when it is half done, also one that reads back what was changed: then that is changed, and
    /// its caller told of an error.
    ListingPartialThenFails,
    /// No zeros can be written.
    ZeroWritesFail,
    /// What was written is not known to survive a power loss.
    FlushFails,
    /// The kernel finds no space although there is a hole.
    CreateRefused,
    /// The kernel announces no changes.
    AnnouncementsLost,
    /// Nothing can be mounted.
    MountFails,
    /// Nothing can be unmounted.
    UnmountFails,
    /// Formatting fails, after it has written something.
    FormatFails,
    /// The kernel does not say what is at a path, nor which mounts there are.
    StatFails,
    /// What is on a device cannot be read.
    ContentFails,
    /// What a killed run left disabled is not brought up by the next one, only by an administrator or a reboot.
    StaysDisabled,
    /// Calls take long. They never wait themselves: whoever has a clock asks for it with `Machine::has_fault`.
    Slow,
}

/// What somebody asks the kernel for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Listing,
    /// A listing by the kernel's client itself, after it changed something.
    ReadBack,
    WriteZeros,
    Flush,
    Create,
    Announce,
    Mount,
    Unmount,
    Format,
    Stat,
    Content,
    Enable,
}

/// What becomes of a label that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LabelFate {
    Written,
    Refused,
    /// The modules keep the old one.
    Lost,
    /// Some of the modules have the new one.
    Mixed,
    /// As [`LabelFate::Mixed`] if the run ends with it, else written.
    TornIfKilled,
}

/// All that is set.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    set: BTreeSet<DeviceFault>,
    /// How often something that alternates was asked for.
    turn: u64,
}

impl DeviceFault {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::LabelsLost,
        Self::LabelsRefused,
        Self::LabelsTorn,
        Self::ListingFails,
        Self::ListingPartialThenFails,
        Self::ZeroWritesFail,
        Self::FlushFails,
        Self::CreateRefused,
        Self::AnnouncementsLost,
        Self::MountFails,
        Self::UnmountFails,
        Self::FormatFails,
        Self::StatFails,
        Self::ContentFails,
        Self::StaysDisabled,
        Self::Slow,
    ];
}

impl Faults {
    pub(super) fn set(&mut self, fault: DeviceFault, on: bool) {
        if on {
            self.set.insert(fault);
        } else {
            self.set.remove(&fault);
        }
    }

    pub(super) fn has(&self, fault: DeviceFault) -> bool {
        self.set.contains(&fault)
    }

    /// The error that a call ends with, if it does.
    pub(super) fn refuses(&mut self, call: Call) -> Option<io::Error> {
        use DeviceFault as Fault;
        let fault = match call {
            Call::Listing if self.has(Fault::ListingFails) => Fault::ListingFails,
            Call::Listing | Call::ReadBack => Fault::ListingPartialThenFails,
            Call::WriteZeros => Fault::ZeroWritesFail,
            Call::Flush => Fault::FlushFails,
            Call::Create => Fault::CreateRefused,
            Call::Announce => Fault::AnnouncementsLost,
            Call::Mount => Fault::MountFails,
            Call::Unmount => Fault::UnmountFails,
            Call::Format => Fault::FormatFails,
            Call::Stat => Fault::StatFails,
            Call::Content => Fault::ContentFails,
            Call::Enable => Fault::StaysDisabled,
        };
        let is_set = self.has(fault);
        let is_now = fault != Fault::ListingPartialThenFails || !is_set || self.alternates();
        (is_set && is_now).then(|| errno(fault).into())
    }

    /// What becomes of the next label.
    pub(super) fn label(&mut self) -> LabelFate {
        if self.has(DeviceFault::LabelsRefused) {
            LabelFate::Refused
        } else if self.has(DeviceFault::LabelsLost) {
            if self.alternates() {
                LabelFate::Lost
            } else {
                LabelFate::Mixed
            }
        } else if self.has(DeviceFault::LabelsTorn) {
            LabelFate::TornIfKilled
        } else {
            LabelFate::Written
        }
    }

    /// True and false in turn.
    fn alternates(&mut self) -> bool {
        self.turn += 1;
        self.turn % 2 == 1
    }
}

/// EIO of single chunks would mean bad blocks.
fn errno(fault: DeviceFault) -> Errno {
    match fault {
        DeviceFault::ZeroWritesFail => Errno::NXIO,
        DeviceFault::CreateRefused => Errno::NOSPC,
        DeviceFault::UnmountFails => Errno::BUSY,
        _ => Errno::IO,
    }
}
