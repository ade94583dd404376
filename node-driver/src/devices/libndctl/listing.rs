//! What libndctl shows, as an inventory.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crds::{BusProvider, PersistenceDomain, RegionState};
use ndctl::{Claim, ClaimKind, Context, Mapping, Region, RegionKind};
use placement::{Alignment, Bytes, Extent, NumaNode, RegionId};

use super::region_id::{self, Module, Origin};
use super::region_state::{Facts, ModuleFacts, judge};
use super::{alignment, block};
use crate::devices::{DeviceError, FoundMode, Inventory, Namespace, RegionFound, Source};

/// How often to look again while somebody else changes devices, and how long to wait before.
const LOOKS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(50);

/// All regions and namespaces.
///
/// A look that met a device half made is repeated: somebody else may be working with `ndctl` at this moment.
pub(super) fn inventory() -> Result<Inventory, DeviceError> {
    let mut looks = 1;
    loop {
        match look() {
            Err(_) if looks < LOOKS => looks += 1,
            done => return done.map_err(DeviceError::Listing),
        }
        sleep(PAUSE);
    }
}

fn look() -> Result<Inventory, Source> {
    let context = Context::new()?;
    let mut pmem = Vec::new();
    for region in context.regions()? {
        if region.kind()? == RegionKind::Pmem {
            pmem.push(region);
        }
    }
    let origins = pmem.iter().map(|region| origin(*region));
    let origins: Vec<Origin> = origins.collect::<Result<_, _>>()?;
    let mut inventory = Inventory::default();
    for (region, id) in pmem.into_iter().zip(region_id::ids(&origins)) {
        inventory.namespaces.extend(namespaces(region, &id)?);
        inventory.regions.push(found(region, id)?);
    }
    Ok(inventory)
}

fn origin(region: Region<'_>) -> Result<Origin, ndctl::Error> {
    let module = |mapping: Mapping<'_>| Module {
        unique_id: mapping.dimm().unique_id().filter(|id| !id.is_empty()),
        position: mapping.position(),
        start: mapping.start(),
    };
    Ok(Origin {
        bus: match bus(region) {
            BusProvider::Nfit => "nfit",
            BusProvider::Cxl => "cxl",
            BusProvider::E820 => "e820",
            BusProvider::Emulated | BusProvider::Other => "other",
        },
        provider: region.bus().provider(),
        modules: region.mappings()?.into_iter().map(module).collect(),
        start: region.start()?,
    })
}

fn bus(region: Region<'_>) -> BusProvider {
    let bus = region.bus();
    match &*bus.provider() {
        "e820" => BusProvider::E820,
        _ if bus.has_nfit() => BusProvider::Nfit,
        _ if bus.has_cxl() => BusProvider::Cxl,
        _ => BusProvider::Other,
    }
}

fn found(region: Region<'_>, id: RegionId) -> Result<RegionFound, Source> {
    let facts = facts(region)?;
    let (state, message) = judge(&facts);
    Ok(RegionFound {
        id,
        device: facts.device,
        bus: bus(region),
        numa: region.numa_node().map(NumaNode),
        size: region.size(),
        alignment: unit(region, state)?,
        ways: region.interleave_ways().max(1),
        persistence_domain: match region.persistence_domain() {
            ndctl::PersistenceDomain::CpuCache => PersistenceDomain::CpuCache,
            ndctl::PersistenceDomain::MemoryController => PersistenceDomain::MemoryController,
            ndctl::PersistenceDomain::None | ndctl::PersistenceDomain::Unknown => PersistenceDomain::Unknown,
        },
        state,
        message,
    })
}

fn facts(region: Region<'_>) -> Result<Facts, Source> {
    let mut modules = Vec::new();
    for mapping in region.mappings()? {
        let dimm = mapping.dimm();
        modules.push(ModuleFacts {
            device: dimm.device(),
            is_locked: dimm.is_locked(),
            labels: dimm.label_area().map_err(|error| error.to_string()),
        });
    }
    Ok(Facts {
        device: region.device(),
        is_enabled: region.is_enabled(),
        is_read_only: region.is_read_only(),
        has_labels: region.has_labels(),
        start: region.start()?,
        cookie: region.interleave_set_cookie(),
        modules,
    })
}

/// The unit in which the region hands out space, after asking a ready one for the unit that wastes least.
///
/// The kernel forgets it at boot and no label depends on it. A region that refuses keeps what it has.
fn unit(region: Region<'_>, state: RegionState) -> Result<Alignment, Source> {
    let wanted = alignment::wanted(region.interleave_ways());
    if state == RegionState::Ready
        && region.align().is_some_and(|now| now != wanted)
        && let Err(error) = region.set_align(wanted)
    {
        tracing::debug!(region = region.device(), %wanted, error = &error as &dyn std::error::Error, "keeps its alignment");
    }
    Ok(Alignment::try_from(region.align().unwrap_or(wanted))?)
}

fn namespaces(region: Region<'_>, id: &RegionId) -> Result<Vec<Namespace>, Source> {
    let start_of_region = region.start()?;
    let mut found = Vec::new();
    for namespace in region.namespaces()? {
        if !namespace.size().is_zero() {
            found.push(one(namespace, id, start_of_region)?);
        }
    }
    Ok(found)
}

fn one(namespace: ndctl::Namespace<'_>, region: &RegionId, start_of_region: Bytes) -> Result<Namespace, Source> {
    let device = namespace.device();
    let start = namespace
        .start()
        .ok_or_else(|| format!("the kernel does not show where {device} starts: run as root"))?;
    let claim = namespace.claim();
    let block = namespace.block_device().map(|name| Path::new("/dev").join(name));
    let usable = block.as_deref().map(block::size).transpose()?;
    Ok(Namespace {
        name: namespace.name().unwrap_or_default(),
        device,
        region: region.clone(),
        extent: Extent::new(start.minus(start_of_region), namespace.size()),
        mode: claim.as_ref().map_or(FoundMode::Raw, mode),
        block,
        usable,
    })
}

/// A claim that is not enabled offers nothing: it was left by somebody who did not finish.
fn mode(claim: &Claim) -> FoundMode {
    match claim.kind {
        _ if !claim.is_enabled => FoundMode::Raw,
        ClaimKind::Pfn { .. } => FoundMode::Fsdax,
        ClaimKind::Btt { .. } => FoundMode::Sector,
        ClaimKind::Dax => FoundMode::Devdax,
    }
}
