//! The inventory, from libndctl and the label areas.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crds::{BusProvider, PersistenceDomain, RegionState};
use ndctl::{Claim, ClaimKind, Context, Mapping, Region, RegionKind, Snapshot};
use placement::{Alignment, Bytes, Extent, NumaNode, Offer, RegionId};

use super::agreement::{disagreement, is_recorded, unseen};
use super::alignment::best_alignment;
use super::block;
use super::module_labels::ModuleLabels;
use super::nothing;
use super::region_id::{self, Module, Origin};
use super::region_state::{Identity, ModuleProperties, RegionProperties, region_state};
use crate::devices::error::{DeviceError, Source};
use crate::devices::inventory::{self, Inventory, Namespace, NamespaceMode, UnseenLabel};

/// How often to list while somebody else changes devices, and how long to wait in between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(50);

/// All regions and namespaces.
///
/// A listing during which something changed, or that met a device half made, is repeated: a person may be working with
/// `ndctl` at this moment, or the kernel may be enabling a region.
pub(super) fn inventory() -> Result<Inventory, DeviceError> {
    let mut attempts = 1;
    loop {
        match list_undisturbed() {
            Err(_) if attempts < ATTEMPTS => attempts += 1,
            done => return done.map_err(DeviceError::Listing),
        }
        sleep(PAUSE);
    }
}

/// A listing of one moment: what exists, what is enabled and what the labels say is the same before and after it.
fn list_undisturbed() -> Result<Inventory, Source> {
    let before = Snapshot::take()?;
    let context = Context::new()?;
    let pmem = pmem_regions(&context)?;
    let labels = ModuleLabels::read(&pmem)?;
    let mut inventory = list(&pmem, &labels)?;
    if pmem.is_empty() {
        inventory.nothing = nothing::message(&context)?;
    }
    if !labels.are_unchanged(&pmem)? || Snapshot::take()? != before {
        return Err("regions, namespaces or labels changed while they were listed".into());
    }
    Ok(inventory)
}

fn pmem_regions(context: &Context) -> Result<Vec<Region<'_>>, ndctl::Error> {
    let mut pmem = Vec::new();
    for region in context.regions()? {
        if region.kind()? == RegionKind::Pmem {
            pmem.push(region);
        }
    }
    Ok(pmem)
}

fn list(pmem: &[Region<'_>], labels: &ModuleLabels) -> Result<Inventory, Source> {
    let origins = pmem.iter().map(|region| origin(*region));
    let origins: Vec<Origin> = origins.collect::<Result<_, _>>()?;
    let mut inventory = Inventory::default();
    for ((region, origin), id) in pmem.iter().zip(&origins).zip(region_id::ids(&origins)) {
        let mut namespaces = namespaces(*region, &id)?;
        let parts = labels.parts(*region)?;
        for namespace in &mut namespaces {
            namespace.is_recorded = is_recorded(namespace, &parts);
        }
        let properties = RegionProperties {
            identity: identity(*region, origin),
            disagreement: disagreement(&namespaces, &parts),
            ..properties(*region, labels)?
        };
        let unseen = unseen(&namespaces, &parts).into_iter().map(|label| UnseenLabel {
            name: label.name.clone(),
            uuid: label.uuid,
            region: id.clone(),
        });
        inventory.unseen.extend(unseen);
        inventory.regions.push(listed_region(*region, id, properties)?);
        inventory.namespaces.extend(namespaces);
    }
    Ok(inventory)
}

fn origin(region: Region<'_>) -> Result<Origin, ndctl::Error> {
    let bus = bus(region);
    let mappings = region.mappings()?;
    let ids = match bus {
        BusProvider::Cxl => serial_numbers(region)?,
        BusProvider::Nfit | BusProvider::E820 | BusProvider::Emulated | BusProvider::Other => {
            mappings.iter().map(|mapping| mapping.dimm().unique_id()).collect()
        }
    };
    let module = |(mapping, unique_id): (Mapping<'_>, Option<String>)| Module {
        unique_id: unique_id.filter(|id| !id.is_empty()),
        position: mapping.position(),
        start: mapping.start(),
    };
    Ok(Origin {
        bus: match bus {
            BusProvider::Nfit => "nfit",
            BusProvider::Cxl => "cxl",
            BusProvider::E820 => "e820",
            BusProvider::Emulated | BusProvider::Other => "other",
        },
        provider: region.bus().provider(),
        modules: mappings.into_iter().zip(ids).map(module).collect(),
        start: region.start()?,
    })
}

/// What identifies CXL devices, by position: before 6.2 the kernel gives libndctl nothing to tell them apart.
fn serial_numbers(region: Region<'_>) -> Result<Vec<Option<String>>, ndctl::Error> {
    let numbers = region.cxl_serial_numbers()?;
    let text = |number: Option<u64>| number.map(|number| format!("{number:#x}"));
    Ok(numbers.into_iter().map(text).collect())
}

/// A cookie of 0 ties labels to no region (CXL devices without serial numbers).
fn identity(region: Region<'_>, origin: &Origin) -> Identity {
    if origin.is_identified() && region.interleave_set_cookie() != Some(0) {
        Identity::Known
    } else {
        Identity::Unknown
    }
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

fn listed_region(region: Region<'_>, id: RegionId, properties: RegionProperties) -> Result<inventory::Region, Source> {
    let (state, message) = region_state(&properties);
    let alignment = alignment(region, state)?;
    Ok(inventory::Region {
        id,
        device: properties.device,
        bus: bus(region),
        numa: region.numa_node().map(NumaNode),
        size: region.size(),
        alignment,
        ways: region.interleave_ways().max(1),
        persistence_domain: match region.persistence_domain() {
            ndctl::PersistenceDomain::CpuCache => PersistenceDomain::CpuCache,
            ndctl::PersistenceDomain::MemoryController => PersistenceDomain::MemoryController,
            ndctl::PersistenceDomain::None | ndctl::PersistenceDomain::Unknown => PersistenceDomain::Unknown,
        },
        state,
        message,
        bad: bad(region)?,
        offer: offer(region, state)?,
    })
}

/// What the kernel counts at the alignment that the region has now. One that gets no volumes may have no labels, and then the
/// kernel counts what a namespace has.
fn offer(region: Region<'_>, state: RegionState) -> Result<Offer, ndctl::Error> {
    if state != RegionState::Ready {
        return Ok(Offer::EVERYTHING);
    }
    Ok(Offer {
        largest: region.max_available_extent()?.unwrap_or(Bytes::MAX),
        total: region.available_size()?,
    })
}

/// None where the kernel does not tell.
fn bad(region: Region<'_>) -> Result<Vec<Extent>, ndctl::Error> {
    let ranges = region.bad_ranges()?.unwrap_or_default();
    Ok(ranges
        .iter()
        .map(|range| Extent::new(range.start, range.size))
        .collect())
}

/// What the kernel shows of a region. Nothing yet of what only its origin and all of its labels tell.
fn properties(region: Region<'_>, labels: &ModuleLabels) -> Result<RegionProperties, Source> {
    let mut modules = Vec::new();
    for mapping in region.mappings()? {
        let dimm = mapping.dimm();
        modules.push(ModuleProperties {
            device: dimm.device(),
            is_enabled: dimm.is_enabled(),
            is_locked: dimm.is_locked(),
            failures: dimm.failures(),
            labels: labels.slots(&dimm.device()),
        });
    }
    Ok(RegionProperties {
        device: region.device(),
        is_enabled: region.is_enabled(),
        is_read_only: region.is_read_only(),
        has_labels: region.has_labels(),
        start: region.start()?,
        size: region.size(),
        identity: Identity::Unknown,
        modules,
        disagreement: None,
    })
}

/// The alignment of a region, after setting that of a ready one to the value that wastes least.
///
/// The kernel forgets it at boot and no label depends on it. A region that refuses keeps the alignment it has.
fn alignment(region: Region<'_>, state: RegionState) -> Result<Alignment, Source> {
    let best = best_alignment(region.interleave_ways());
    if state == RegionState::Ready
        && region.align().is_some_and(|now| now != best)
        && let Err(error) = region.set_align(best)
    {
        tracing::debug!(region = region.device(), %best, error = &error as &dyn std::error::Error, "the region keeps its alignment");
    }
    Ok(Alignment::try_from(region.align().unwrap_or(best))?)
}

fn namespaces(region: Region<'_>, id: &RegionId) -> Result<Vec<Namespace>, Source> {
    let start_of_region = region.start()?;
    let mut found = Vec::new();
    for namespace in region.namespaces()? {
        if !namespace.size().is_zero() {
            found.push(listed_namespace(namespace, id, start_of_region)?);
        }
    }
    Ok(found)
}

fn listed_namespace(
    namespace: ndctl::Namespace<'_>,
    region: &RegionId,
    start_of_region: Bytes,
) -> Result<Namespace, Source> {
    let device = namespace.device();
    let start = namespace
        .start()
        .ok_or_else(|| format!("the kernel does not show where {device} starts: run as root"))?;
    let claim = namespace.claim();
    let block = namespace.block_device().map(|name| Path::new("/dev").join(name));
    let usable = block.as_deref().map(block::size).transpose()?;
    Ok(Namespace {
        name: namespace.name().unwrap_or_default(),
        uuid: namespace.uuid(),
        is_recorded: false,
        device,
        region: region.clone(),
        extent: Extent::new(start.minus(start_of_region), namespace.size()),
        mode: claim.as_ref().map_or(NamespaceMode::Raw, mode),
        block,
        usable,
    })
}

/// A claim that is not enabled was left half made, and counts as none.
fn mode(claim: &Claim) -> NamespaceMode {
    match claim.kind {
        _ if !claim.is_enabled => NamespaceMode::Raw,
        ClaimKind::Pfn { .. } => NamespaceMode::Fsdax,
        ClaimKind::Btt { .. } => NamespaceMode::Sector,
        ClaimKind::Dax => NamespaceMode::Devdax,
    }
}
