//! What is looked at after each step and each interruption.

use anyhow::{Context, Result};

use super::content;
use super::finding::Finding;
use super::layout::{self, Subject};
use super::program::{self, Ended};
use super::session::Session;
use super::volume::{State, Volume};
use crate::harness::test_vm::{Inventory, inventory};

impl Session {
    /// Looks at all devices: what was confirmed is there and nothing else, and nothing of somebody else has changed.
    pub(super) async fn look(&mut self, subject: Option<Subject<'_>>) -> Result<Inventory> {
        let seen = inventory(&self.vm).await?;
        layout::check(&seen, &self.world, subject)?;
        self.compare_foreign(&seen)?;
        let ready = seen.regions.iter().filter_map(crds::RegionStatus::to_placement);
        self.world.free.regions = ready.collect();
        if self.world.free.regions.len() != seen.regions.len() {
            return Err(Finding::stuck(format!("a region is not ready: {seen:?}")).into());
        }
        Ok(seen)
    }

    /// Whoever uses other volumes goes on, and finds all bytes.
    pub(super) async fn after_sigkill(&mut self, subject: Option<Subject<'_>>) -> Result<Inventory> {
        let seen = self.look(subject).await?;
        let is_other = |volume: &&Volume| subject.is_none_or(|subject| subject.name != volume.name);
        let others = self.world.volumes.values().filter(is_other);
        let others: Vec<Volume> = others.filter(|volume| volume.is_readable()).cloned().collect();
        for volume in others {
            self.compare_content(&volume, &seen).await?;
        }
        Ok(seen)
    }

    /// Cuts the power and boots again. Whoever used other volumes comes back, and finds all bytes.
    pub(super) async fn after_power_cut(&mut self, subject: Option<Subject<'_>>) -> Result<Inventory> {
        let were_staged = self.world.power_was_cut();
        self.vm.cut_power().await?;
        self.look(subject).await?;
        let is_other = |name: &&String| subject.is_none_or(|subject| subject.name != **name);
        for name in were_staged.iter().filter(is_other) {
            self.stage_again(name).await?;
        }
        self.after_sigkill(subject).await
    }

    async fn stage_again(&mut self, name: &str) -> Result<()> {
        let volume = self.volume(name)?.clone();
        let arguments = self.stage_arguments(&volume).await?;
        match program::run(&self.vm, &arguments, None).await? {
            Ended::Done(_) => {}
            other => return Err(Finding::lost(format!("{name} cannot be staged after a power cut: {other:?}")).into()),
        }
        self.change(name, |volume| volume.state = State::Staged)
    }

    /// Compares all that was written to a volume.
    pub(super) async fn compare_content(&mut self, volume: &Volume, seen: &Inventory) -> Result<()> {
        let device = device(volume, seen)?;
        let compared = self.vm.run(&content::compare(volume, &device, self.seed)).await?;
        if compared.status != 0 {
            let what = format!("{}{}", compared.stdout, compared.stderr);
            return Err(Finding::lost(format!("content of {}: {what}", volume.name)).into());
        }
        self.checked(volume.written());
        Ok(())
    }

    /// The volume of that name.
    pub(super) fn volume(&self, name: &str) -> Result<&Volume> {
        let volume = self.world.volumes.get(name);
        volume.with_context(|| format!("there is no {name}"))
    }

    /// Takes note of a change of a volume.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut Volume)) -> Result<()> {
        let volume = self.world.volumes.get_mut(name);
        volume.map(change).with_context(|| format!("there is no {name}"))
    }
}

/// The block device of a volume.
pub(super) fn device(volume: &Volume, seen: &Inventory) -> Result<String> {
    let block = seen.named(&volume.name)?.block.clone();
    block.with_context(|| format!("{} has no block device: {seen:?}", volume.name))
}
