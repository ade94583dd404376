//! The life of a volume, step by step.

use anyhow::{Context, Result};
use cluster::Filesystem;
use crds::PmemVolumeStatus;
use placement::NumaWish;

use super::carry_out::{Finished, Work};
use super::checks::device;
use super::device_bytes;
use super::finding::Finding;
use super::part::Part;
use super::program::Done;
use super::session::Session;
use super::volume::{Place, State, Volume};
use crate::harness::vm::DeviceBytes;

/// Which bytes are known to be zero.
const KNOWN_ZEROS: &str = "/var/lib/kubelet/plugins/csi.daxfit.dev/known-zeros";

impl Session {
    /// Makes a volume, of which every byte has to be zero.
    pub(super) async fn make(&mut self, volume: Volume) -> Result<()> {
        let name = volume.name.clone();
        let work = Work {
            part: Part::Make,
            arguments: create_arguments(&volume),
            volume,
        };
        match self.finish(&work).await? {
            Finished::Done(done) => {
                let place = Some(place(&done)?);
                self.world.volumes.insert(name.clone(), Volume { place, ..work.volume });
                self.reads_as_zeros(&name).await
            }
            Finished::AlreadyDone | Finished::GivenUp => self.look(None).await.map(drop),
        }
    }

    async fn reads_as_zeros(&mut self, name: &str) -> Result<()> {
        let seen = self.look(None).await?;
        let volume = self.volume(name)?.clone();
        let place = volume.place.as_ref().context("it is nowhere")?;
        if place.usable < volume.required {
            return Err(Finding::stuck(format!("{name} is smaller than {}: {place:?}", volume.required)).into());
        }
        let (device, usable) = (device(&volume, &seen)?, place.usable.get());
        let size = format!("[ $(blockdev --getsize64 {device}) = {usable} ]");
        let compared = self
            .vm
            .run(&format!("{size} && cmp -n {usable} {device} /dev/zero"))
            .await?;
        if compared.status != 0 {
            let what = format!("{}{}", compared.stdout, compared.stderr);
            return Err(Finding::shown(format!("the new {name} does not read as zeros: {what}")).into());
        }
        self.checked(place.usable);
        Ok(())
    }

    /// Hands a volume out, or has it used again: then all that was written has to be there.
    pub(super) async fn stage(&mut self, name: &str) -> Result<()> {
        let volume = self.volume(name)?.clone();
        let part = match volume.state {
            State::HandedOut => Part::HandOut,
            State::Idle | State::Staged => Part::UseAgain,
        };
        let arguments = self.stage_arguments(&volume).await?;
        let work = Work {
            part,
            volume,
            arguments,
        };
        self.finish(&work).await?;
        self.change(name, |volume| volume.state = State::Staged)?;
        self.compare(name).await
    }

    /// What the program is asked, with the directory that the kubelet would have made.
    pub(super) async fn stage_arguments(&mut self, volume: &Volume) -> Result<String> {
        let (name, directory) = (&volume.name, volume.directory());
        self.vm.shell(&format!("mkdir -p {directory}")).await?;
        let fs = volume
            .kind
            .fs
            .map(Filesystem::name)
            .map_or_else(String::new, |fs| format!("--fs {fs} "));
        Ok(format!("stage {fs}{name} {directory}"))
    }

    /// Compares all that was written to a volume.
    pub(super) async fn compare(&mut self, name: &str) -> Result<()> {
        let seen = self.look(None).await?;
        let volume = self.volume(name)?.clone();
        self.compare_content(&volume, &seen).await
    }

    /// Has a volume given back. A block volume needs nothing for that.
    pub(super) async fn unstage(&mut self, name: &str) -> Result<()> {
        let volume = self.volume(name)?;
        if !volume.kind.is_block() {
            self.vm.shell(&format!("umount {}", volume.directory())).await?;
        }
        self.change(name, |volume| volume.state = State::Idle)
    }

    /// Erases a volume, after which all its bytes have to be zero and its space free. Others may find dirt there.
    pub(super) async fn erase(&mut self, name: &str) -> Result<()> {
        if self.volume(name)?.state == State::Staged {
            self.unstage(name).await?;
        }
        let is_made_dirty = self.rng.bool();
        let volume = self.volume(name)?.clone();
        let work = Work {
            part: Part::Erase,
            volume,
            arguments: format!("delete --destroy-data {name}"),
        };
        self.finish(&work).await?;
        self.world.volumes.remove(name);
        let place = work.volume.place.context("it was nowhere")?;
        let module = self.is_gone(&place).await?;
        if is_made_dirty {
            device_bytes::make_dirty(&module, place.extent)?;
            // Through no namespace, so that no label tells of it: who does that deletes the file.
            self.vm.shell(&format!("rm -f {KNOWN_ZEROS}")).await?;
        }
        Ok(())
    }

    /// Has free bytes made zero, as the driver does in the background. Nobody's space becomes less or more by that.
    pub(super) async fn sweep(&mut self) -> Result<()> {
        let work = Work {
            part: Part::Sweep,
            volume: Volume::of_nobody(),
            arguments: "sweep".to_owned(),
        };
        self.finish(&work).await?;
        self.look(None).await.map(drop)
    }

    async fn is_gone(&mut self, place: &Place) -> Result<DeviceBytes> {
        let seen = self.look(None).await?;
        let region = seen.regions.iter().find(|region| region.id == place.region);
        let numa = region
            .and_then(|region| region.numa_node)
            .context("its region is gone")?;
        let module = self.module(numa.0)?;
        if let Some(at) = device_bytes::first_not_zero(&module, place.extent)? {
            return Err(Finding::shown(format!("bytes at {at} of {place:?} outlive it")).into());
        }
        self.checked(place.extent.size);
        Ok(module)
    }
}

fn create_arguments(volume: &Volume) -> String {
    let numa = match volume.numa {
        NumaWish::Node(numa) => format!("--numa {}", numa.0),
        NumaWish::Any | NumaWish::Together => String::new(),
    };
    format!(
        "create {} {numa} {} {}",
        volume.kind.flags(),
        volume.name,
        volume.required.get()
    )
}

fn place(done: &Done) -> Result<Place> {
    let status: PmemVolumeStatus =
        serde_json::from_str(&done.printed).with_context(|| format!("not a status: {}", done.printed))?;
    let place = status.region.zip(status.footprint).zip(status.usable);
    let ((region, extent), usable) = place.context("a volume that is nowhere")?;
    Ok(Place { region, extent, usable })
}
