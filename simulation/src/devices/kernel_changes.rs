//! What the kernel does when it is told to change a namespace, and what must not be among it.

use std::io;

use node_driver::devices::{DeviceError, Namespace, NewNamespace, Owner, Stage};
use placement::Mode;

use super::driver::failed;
use super::faults::{Call, LabelFate};
use super::fuse::Fuse;
use super::label::{Label, OnModules, Reach};
use super::label_area::Modules;
use super::namespace::{ModelNamespace, Presents};
use super::state::State;
use super::tag::{Serial, Tag};

impl State {
    pub(super) fn create(&mut self, new: &NewNamespace, label: Label) -> Result<Serial, DeviceError> {
        let no_space = || DeviceError::NoSpace {
            region: new.region.clone(),
            footprint: new.footprint,
        };
        let region = self.region(&new.region).ok_or_else(no_space)?;
        if self.faults.refuses(Call::Create).is_some() {
            return Err(no_space());
        }
        self.check_first(&new.volume);
        let fate = self.faults.label();
        let on_modules = match fate {
            LabelFate::Written => OnModules::Whole(label.clone()),
            LabelFate::Refused => {
                let error = io::Error::other("the label cannot be written");
                return Err(failed("create", &new.volume, error));
            }
            LabelFate::Lost => OnModules::Nothing,
            LabelFate::Mixed | LabelFate::TornIfKilled => OnModules::mixed(None, label.clone()),
        };
        let made = self.make(region, new.footprint, label, on_modules);
        let serial = made.ok_or_else(no_space)?;
        self.under_way = (fate == LabelFate::TornIfKilled).then_some(serial);
        self.present(serial, Presents::Raw);
        Ok(serial)
    }

    pub(super) fn disable(&mut self, serial: Serial, seen: &Namespace, volume: &str) -> Result<(), DeviceError> {
        let Some(found) = self.namespace(serial) else {
            return Ok(());
        };
        if let Some(by) = self.user(found) {
            return Err(DeviceError::InUse {
                name: volume.to_owned(),
                device: match &seen.block {
                    Some(block) => block.display().to_string(),
                    None => seen.device.clone(),
                },
                by,
            });
        }
        self.must_not_be_theirs(serial, "disabled");
        self.present(serial, Presents::Disabled);
        Ok(())
    }

    pub(super) fn write_label(&mut self, serial: Serial, label: &Label) -> Result<(), DeviceError> {
        self.must_not_be_theirs(serial, "renamed");
        self.check_before_mark(serial, label);
        let fate = self.faults.label();
        self.under_way = (fate == LabelFate::TornIfKilled).then_some(serial);
        let reach = match fate {
            LabelFate::Written => Reach::All,
            LabelFate::Refused => {
                return Err(failed("mark", "", io::Error::other("the label cannot be written")));
            }
            LabelFate::Lost => Reach::None,
            LabelFate::Mixed | LabelFate::TornIfKilled => Reach::Some,
        };
        if let Some(found) = self.namespace_mut(serial) {
            found.label.write(label.clone(), reach);
            let (region, extent) = (found.region, found.extent);
            if let Some(modules) = Modules::reached(reach) {
                self.regions[region].areas.write(label, extent, modules);
            }
            self.announce();
        }
        Ok(())
    }

    /// The run that writes a label was not killed with it.
    pub(super) fn complete_label(&mut self, serial: Serial) {
        if self.under_way.take() != Some(serial) {
            return;
        }
        if let Some(found) = self.namespace_mut(serial) {
            let label = found.label.shown.clone();
            found.label.write(label.clone(), Reach::All);
            let (region, extent) = (found.region, found.extent);
            self.regions[region].areas.write(&label, extent, Modules::Second);
        }
    }

    pub(super) fn open_raw(&mut self, serial: Serial, run: &Fuse) -> u64 {
        let handle = self.next_handle();
        self.present(serial, Presents::Raw);
        if let Some(found) = self.namespace_mut(serial) {
            found.raw_users.push((handle, run.clone()));
        }
        handle
    }

    pub(super) fn close_raw(&mut self, serial: Serial, handle: u64) {
        if let Some(found) = self.namespace_mut(serial) {
            found.raw_users.retain(|(other, _)| *other != handle);
        }
    }

    /// Writes what says that a namespace has a mode, over raw bytes that have to be zero.
    pub(super) fn write_info(&mut self, serial: Serial, mode: Mode) {
        self.must_not_be_theirs(serial, "configured");
        let Some(found) = self.namespace(serial).cloned() else {
            return;
        };
        if !self.regions[found.region].holds_only(found.extent, |tag| tag == Tag::Zero) {
            self.violated(format!(
                "{} is configured although its bytes are not zero",
                found.title()
            ));
        }
        let info = Tag::Info { of: serial, mode };
        self.regions[found.region].write(found.info_of(mode), info);
    }

    /// Takes a namespace away. Its label may stay behind.
    pub(super) fn destroy(&mut self, serial: Serial) -> io::Result<()> {
        self.must_not_be_theirs(serial, "destroyed");
        let fate = self.faults.label();
        if fate == LabelFate::Refused {
            return Err(io::Error::other("the label cannot be written"));
        }
        let Some(position) = self.namespaces.iter().position(|found| found.serial == serial) else {
            return Ok(());
        };
        let gone = self.namespaces.remove(position);
        self.check_freed(&gone);
        self.under_way = (fate == LabelFate::TornIfKilled).then_some(serial);
        let reached = match fate {
            LabelFate::Written => Some(Modules::All),
            LabelFate::Mixed | LabelFate::TornIfKilled => Some(Modules::First),
            LabelFate::Refused | LabelFate::Lost => None,
        };
        let region = &mut self.regions[gone.region];
        if let Some(modules) = reached {
            region.areas.delete(gone.label.shown.uuid, modules);
        }
        if fate != LabelFate::Written {
            region.ghosts.push(gone);
        }
        self.announce();
        Ok(())
    }

    /// The run that destroys a namespace was not killed with it.
    pub(super) fn complete_destruction(&mut self, serial: Serial) {
        if self.under_way.take() == Some(serial) {
            for region in &mut self.regions {
                for gone in region.ghosts.extract_if(.., |ghost| ghost.serial == serial) {
                    region.areas.delete(gone.label.shown.uuid, Modules::Second);
                }
            }
        }
    }

    /// Remembers it if a power loss would bring back what is erased as somebody's volume.
    pub(super) fn must_stay_expendable(&mut self, serial: Serial) {
        let Some(found) = self.namespace(serial) else {
            return;
        };
        let is_handed_out = |label: &Label| matches!(label.stage(), Some(Stage::HandedOut | Stage::InUse));
        let mut after_power_loss = found.label.on_modules.candidates().into_iter().flatten();
        if after_power_loss.any(is_handed_out) {
            let what = format!("{} is erased before its modules say that it is to be", found.title());
            self.violated(what);
        }
    }

    fn check_before_mark(&mut self, serial: Serial, label: &Label) {
        let Some(found) = self.namespace(serial) else {
            return;
        };
        let (title, was) = (found.title(), found.label.shown.stage());
        let stage = label.stage();
        if let (Some(was), Some(stage)) = (was, stage)
            && !was.may_become(stage)
        {
            self.violated(format!("{title} is marked as {stage}"));
        } else if was == Some(Stage::Making) && stage == Some(Stage::HandedOut) && !self.is_clean(serial) {
            self.violated(format!("{title} is handed out although its bytes are not zero"));
        }
    }

    /// Whether nothing but zeros and what the kernel needs is in a namespace, also after a power loss.
    fn is_clean(&self, serial: Serial) -> bool {
        self.namespace(serial).is_none_or(|found| self.holds_nothing(found))
    }

    fn holds_nothing(&self, namespace: &ModelNamespace) -> bool {
        let is_fine = |tag| matches!(tag, Tag::Zero) || matches!(tag, Tag::Info { of, .. } if of == namespace.serial);
        self.regions[namespace.region].holds_only(namespace.extent, is_fine)
    }

    fn check_freed(&mut self, gone: &ModelNamespace) {
        let is_zero = self.regions[gone.region].holds_only(gone.extent, |tag| tag == Tag::Zero);
        match gone.label.shown.owner() {
            Owner::Ours(mark) if mark.stage == Stage::Erasing && !is_zero => {
                self.violated(format!("{} is destroyed before its bytes are zero", gone.title()));
            }
            Owner::Ours(mark) if mark.stage.is_expendable() => {}
            Owner::Ours(mark) if mark.stage == Stage::HandedOut && self.is_one_of_several(gone, mark.volume) => {}
            _ => self.violated(format!("{} is destroyed", gone.title())),
        }
    }

    /// Whether nobody wrote anything into a namespace, and another is the volume.
    fn is_one_of_several(&self, gone: &ModelNamespace, volume: &str) -> bool {
        let is_it = |owner: &Owner<'_>| matches!(owner, Owner::Ours(mark) if mark.volume == volume && !mark.stage.is_expendable());
        self.holds_nothing(gone) && self.namespaces.iter().any(|found| is_it(&found.label.shown.owner()))
    }
}
