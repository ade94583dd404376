//! Namespaces of somebody else, made and destroyed with `ndctl` beside ours.

use anyhow::{Context, Result};
use fastrand::Rng;
use placement::{Bytes, Extent};

use super::device_bytes;
use super::finding::Finding;
use super::session::Session;
use crate::harness::test_vm::{Inventory, inventory};

/// A namespace of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The name in its label.
    pub(super) name: String,
    /// The NUMA node of its region, which is also the number of the region.
    pub(super) numa: u32,
    /// Its mode, as `ndctl` takes it.
    pub(super) mode: &'static str,
    /// Its raw bytes.
    pub(super) size: Bytes,
    /// Where it is; none until it was made.
    pub(super) extent: Option<Extent>,
    /// All that is in it.
    pub(super) bytes: Vec<u8>,
}

impl Foreign {
    /// One that may not fit.
    pub(super) fn draw(number: u64, rng: &mut Rng) -> Self {
        Self {
            name: format!("theirs-{number}"),
            numa: rng.u32(..2),
            mode: if rng.bool() { "raw" } else { "fsdax" },
            size: Bytes::mib(16 * rng.u32(1..=3)),
            extent: None,
            bytes: Vec::new(),
        }
    }

    /// It is filled with numbers; the last write ends with "no space left", when it is full.
    fn script(&self) -> String {
        let Self {
            name, numa, mode, size, ..
        } = self;
        format!(
            "ndctl create-namespace --region region{numa} --mode {mode} --size {} --name {name} >/tmp/theirs || exit 3
            device=/dev/$(jq --raw-output .blockdev </tmp/theirs)
            seq 5{numa}{size}000000000 inf 2>/dev/null | dd of=$device bs=1M iflag=fullblock status=none 2>/dev/null
            sync $device",
            size.get(),
            size = size.divided_by(Bytes::mib(1)),
        )
    }
}

impl Session {
    /// Has somebody else make a namespace. `ndctl` refuses where a hole does not start on 16 MiB: then nothing is there.
    pub(super) async fn make_foreign(&mut self, mut foreign: Foreign) -> Result<()> {
        self.world.foreigners += 1;
        let made = self.vm.run(&foreign.script()).await?;
        if made.status == 3 {
            self.log.line(&format!("  refused: {}", made.stderr.trim()))?;
            return self.look(None).await.map(drop);
        }
        let seen = inventory(&self.vm).await?;
        let extent = seen.named(&foreign.name)?.extent;
        foreign.extent = Some(extent);
        foreign.bytes = device_bytes::read(&self.module(foreign.numa)?, extent)?;
        self.world.foreign.insert(foreign.name.clone(), foreign);
        self.look(None).await.map(drop)
    }

    /// Has somebody else destroy their namespace.
    pub(super) async fn destroy_foreign(&mut self, name: &str) -> Result<()> {
        let device = format!("$(ndctl list --namespaces | jq --raw-output '.[] | select(.name == \"{name}\").dev')");
        self.vm
            .shell(&format!("ndctl destroy-namespace --force {device}"))
            .await?;
        self.world.foreign.remove(name);
        self.look(None).await.map(drop)
    }

    /// Fails if a byte of a namespace of somebody else is not as it was.
    pub(super) fn compare_foreign(&mut self, seen: &Inventory) -> Result<()> {
        for foreign in self.world.foreign.values() {
            let Foreign { name, numa, .. } = foreign;
            let extent = foreign.extent.context("it was never made")?;
            let region = seen.on(*numa)?;
            let mut listed = seen.namespaces.iter().filter(|listed| listed.name == *name);
            if !listed.any(|listed| (&listed.region, listed.extent) == (&region.id, extent)) {
                return Err(Finding::lost(format!("somebody else's {name} at {extent:?}: {seen:?}")).into());
            }
            let now = device_bytes::read(&self.vm.nvdimm_data(usize::try_from(*numa)?)?, extent)?;
            if now != foreign.bytes {
                return Err(Finding::lost(format!("bytes of somebody else's {name} changed")).into());
            }
            self.counts.bytes_checked += extent.size.get_u64();
        }
        Ok(())
    }
}
