//! A namespace: its label, its place, and how the kernel presents it.

use std::path::PathBuf;

use node_driver::devices::{Namespace, NamespaceMode, Owner};
use node_driver::filesystem::DeviceNumber;
use placement::{Bytes, Extent, Mode};

use super::fuse::Fuse;
use super::label::Labelled;
use super::region::ModelRegion;
use super::tag::Serial;

#[derive(Clone, Debug)]
pub(super) struct ModelNamespace {
    pub(super) serial: Serial,
    pub(super) label: Labelled,
    /// The position of its region.
    pub(super) region: usize,
    /// Its number in the region, for as long as the kernel knows it.
    pub(super) number: u32,
    pub(super) extent: Extent,
    pub(super) presents: Presents,
    /// Who has its raw bytes open: a handle, and the run that it ends with.
    pub(super) raw_users: Vec<(u64, Fuse)>,
}

/// How the kernel presents a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presents {
    Disabled,
    /// All its bytes as they are.
    Raw,
    /// A block device of a mode that volumes have.
    Block(Mode, DeviceNumber),
    /// A mode that volumes do not have.
    Devdax,
}

impl ModelNamespace {
    pub(super) fn device(&self) -> String {
        format!("namespace{}.{}", self.region, self.number)
    }

    /// The path of its block device in that mode.
    fn path(&self, mode: Mode) -> PathBuf {
        let suffix = if mode == Mode::Sector { "s" } else { "" };
        format!("/dev/pmem{}.{}{suffix}", self.region, self.number).into()
    }

    pub(super) fn block(&self) -> Option<(PathBuf, Mode, DeviceNumber)> {
        match self.presents {
            Presents::Block(mode, number) => Some((self.path(mode), mode, number)),
            Presents::Disabled | Presents::Raw | Presents::Devdax => None,
        }
    }

    pub(super) fn listed(&self, region: &ModelRegion) -> Namespace {
        let block = self.block();
        Namespace {
            name: self.label.shown.name.clone(),
            uuid: self.label.shown.uuid,
            is_recorded: self.label.is_recorded(),
            device: self.device(),
            region: region.id.clone(),
            extent: self.extent,
            mode: match self.presents {
                Presents::Disabled | Presents::Raw => NamespaceMode::Raw,
                Presents::Block(Mode::Fsdax(_), _) => NamespaceMode::Fsdax,
                Presents::Block(Mode::Sector, _) => NamespaceMode::Sector,
                Presents::Devdax => NamespaceMode::Devdax,
            },
            usable: block.as_ref().map(|(_, mode, _)| mode.usable(self.extent.size)),
            block: block.map(|(path, _, _)| path),
        }
    }

    /// The part of its raw bytes that a block device of that mode shows.
    pub(super) fn shown_by(&self, mode: Mode) -> Extent {
        let usable = mode.usable(self.extent.size);
        Extent::new(self.extent.end().minus(usable), usable)
    }

    /// The part where the kernel keeps what it needs for that mode.
    pub(super) fn info_of(&self, mode: Mode) -> Extent {
        let before = self.extent.size.minus(mode.usable(self.extent.size));
        Extent::new(self.extent.start, before.round_down(Bytes::kib(4)).max(Bytes::kib(4)))
    }

    pub(super) fn has_raw_user(&self) -> bool {
        self.raw_users.iter().any(|(_, run)| !run.is_blown())
    }

    /// What people call it.
    pub(super) fn title(&self) -> String {
        match self.label.shown.owner() {
            Owner::Ours(mark) => format!("{} ({})", mark.volume, mark.stage),
            Owner::Newer { volume } => format!("{volume} (of a newer version)"),
            Owner::Foreign => format!("somebody's {:?}", self.label.shown.name),
        }
    }
}
