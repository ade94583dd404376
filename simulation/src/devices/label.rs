//! Labels: what the kernel goes by, and what the modules have.

use node_driver::devices::{Mark, Owner, Stage};
use uuid::Uuid;

/// Name and UUID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) name: String,
    pub(super) uuid: Option<Uuid>,
}

/// What the modules have of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OnModules {
    Nothing,
    Whole(Label),
    /// Some have the old one, or none, some the new one. The kernel goes by one of them, at each start the same.
    Mixed {
        old: Option<Label>,
        new: Label,
        /// Whether it goes by the new one; none before it has read them.
        goes_by_new: Option<bool>,
    },
}

/// The label of a namespace.
#[derive(Clone, Debug)]
pub(super) struct Labelled {
    /// What the kernel was told.
    pub(super) shown: Label,
    pub(super) on_modules: OnModules,
}

impl Label {
    pub(super) fn owner(&self) -> Owner<'_> {
        node_driver::devices::owner_of(&self.name, self.uuid)
    }

    pub(super) fn mark(&self) -> Option<Mark<'_>> {
        match self.owner() {
            Owner::Ours(mark) => Some(mark),
            Owner::Newer { .. } | Owner::Foreign => None,
        }
    }

    pub(super) fn stage(&self) -> Option<Stage> {
        self.mark().map(|mark| mark.stage)
    }
}

impl OnModules {
    pub(super) fn mixed(old: Option<Label>, new: Label) -> Self {
        Self::Mixed {
            old,
            new,
            goes_by_new: None,
        }
    }

    /// All that may be found after a power loss; none: no label.
    pub(super) fn candidates(&self) -> Vec<Option<&Label>> {
        match self {
            Self::Nothing => vec![None],
            Self::Whole(label) => vec![Some(label)],
            Self::Mixed { old, new, goes_by_new } => match goes_by_new {
                None => vec![old.as_ref(), Some(new)],
                Some(true) => vec![Some(new)],
                Some(false) => vec![old.as_ref()],
            },
        }
    }
}

impl Labelled {
    pub(super) fn whole(label: Label) -> Self {
        Self {
            on_modules: OnModules::Whole(label.clone()),
            shown: label,
        }
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.on_modules == OnModules::Whole(self.shown.clone())
    }

    /// Whether a power loss leaves the label in such a way whatever happens.
    pub(super) fn is_always(&self, holds: impl Fn(&Label) -> bool) -> bool {
        let candidates = self.on_modules.candidates();
        candidates.into_iter().all(|label| label.is_some_and(&holds))
    }

    /// The label that is written: the modules have it, or do not.
    pub(super) fn write(&mut self, new: Label, reaches_modules: Reach) {
        let old = match std::mem::replace(&mut self.on_modules, OnModules::Nothing) {
            OnModules::Nothing => None,
            OnModules::Whole(old) => Some(old),
            OnModules::Mixed { old, new, goes_by_new } => match goes_by_new {
                Some(true) => Some(new),
                Some(false) | None => old,
            },
        };
        self.on_modules = match reaches_modules {
            Reach::All => OnModules::Whole(new.clone()),
            Reach::Some => OnModules::mixed(old, new.clone()),
            Reach::None => old.map_or(OnModules::Nothing, OnModules::Whole),
        };
        self.shown = new;
    }

    /// The kernel reads the labels again, of which it takes the one that `choose` names among two. False: there is none.
    pub(super) fn read_again(&mut self, mut choose: impl FnMut(Choice) -> bool) -> bool {
        if let OnModules::Mixed { old, new, goes_by_new } = &mut self.on_modules {
            let is_new = *goes_by_new.get_or_insert_with(|| choose(Choice::New));
            if choose(Choice::Settles) {
                let taken = if is_new { Some(new.clone()) } else { old.clone() };
                self.on_modules = taken.map_or(OnModules::Nothing, OnModules::Whole);
            }
        }
        let found = self.on_modules.candidates().first().copied().flatten().cloned();
        match found {
            Some(found) => {
                self.shown = found;
                true
            }
            None => false,
        }
    }
}

/// Which modules a label reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    All,
    Some,
    None,
}

/// What is open when modules have different labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Whether the new one is taken.
    New,
    /// Whether all modules have the one that was taken from then on.
    Settles,
}
