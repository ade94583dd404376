//! The inventory, from libndctl and the label areas.

use std::error::Error;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crds::{BusProvider, PersistenceDomain, RegionState};
use ndctl::{Claim, ClaimKind, Context, Label, Mapping, Region, RegionKind, Snapshot};
use placement::{Alignment, Bytes, Extent, NumaNode, Offer, RegionId};
use program::chain;

use super::agreement::{Part, disagreement, is_recorded, unseen};
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
/// `ndctl` at this moment, or the kernel may be enabling a region. One region that cannot be read the second time either, although
/// nothing changed, is shown as one that is not seen: that concerns its own volumes and no others.
pub(super) fn inventory() -> Result<Inventory, DeviceError> {
    let mut unreadable = Unreadable::Fails;
    repeatedly(|| list_undisturbed(&mut unreadable))
}

/// The namespace that the kernel calls `device`, with what the label areas of its region say of it; none if there is none.
pub(super) fn namespace(device: &str) -> Result<Option<Namespace>, DeviceError> {
    repeatedly(|| namespace_undisturbed(device))
}

fn repeatedly<T>(mut list: impl FnMut() -> Result<T, Source>) -> Result<T, DeviceError> {
    let mut attempts = 1;
    loop {
        match list() {
            Err(_) if attempts < ATTEMPTS => attempts += 1,
            done => return done.map_err(DeviceError::Listing),
        }
        sleep(PAUSE);
    }
}

/// A listing of one moment: what exists, what is enabled and what the labels say is the same before and after it.
fn list_undisturbed(unreadable: &mut Unreadable) -> Result<Inventory, Source> {
    let before = Snapshot::take()?;
    let context = Context::new()?;
    let pmem = pmem_regions(&context)?;
    let labels = ModuleLabels::read(&pmem)?;
    let mut inventory = list(&pmem, &labels, unreadable)?;
    if pmem.is_empty() {
        inventory.nothing = nothing::message(&context)?;
    }
    if !labels.are_unchanged(&pmem)? || Snapshot::take()? != before {
        return Err("regions, namespaces or labels changed while they were listed".into());
    }
    Ok(inventory)
}

fn namespace_undisturbed(device: &str) -> Result<Option<Namespace>, Source> {
    let context = Context::new()?;
    let namespace = match context.namespace(device) {
        Err(ndctl::Error::NotFound { .. }) => return Ok(None),
        found => found?,
    };
    let region = namespace.region();
    let labels = ModuleLabels::read(&[region])?;
    let pmem = pmem_regions(&context)?;
    let ids = region_id::ids(&origins(&pmem)?);
    let mut named = pmem.iter().zip(ids);
    let id = named.find_map(|(other, id)| (other.device() == region.device()).then_some(id));
    let id = id.ok_or("its region is no persistent memory")?;
    let mut listed = listed_namespace(namespace, &id, region.start()?)?;
    listed.is_recorded = is_recorded(&listed, &labels.parts(region)?);
    if !labels.are_unchanged(&[region])? {
        return Err("labels changed while they were read".into());
    }
    Ok(Some(listed))
}

fn origins(pmem: &[Region<'_>]) -> Result<Vec<Origin>, ndctl::Error> {
    pmem.iter().map(|region| origin(*region)).collect()
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

/// A region, as it was listed.
struct Listed {
    region: inventory::Region,
    namespaces: Vec<Namespace>,
    /// Labels of namespaces that are not shown.
    unseen: Vec<UnseenLabel>,
}

/// What a region that cannot be read means for the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreadable {
    /// There is none, the first time: somebody may be changing it at this moment.
    Fails,
    /// The others are listed, and of this one that it is not seen.
    IsShown,
}

fn list(pmem: &[Region<'_>], labels: &ModuleLabels, unreadable: &mut Unreadable) -> Result<Inventory, Source> {
    let origins = origins(pmem)?;
    let mut inventory = Inventory::default();
    for ((region, origin), id) in pmem.iter().zip(&origins).zip(region_id::ids(&origins)) {
        let parts = labels.parts(*region)?;
        let listed = match (listed(*region, origin, &id, labels, &parts), *unreadable) {
            (Ok(listed), _) => listed,
            (Err(error), Unreadable::IsShown) => not_seen(*region, id, &parts, &*error)?,
            (Err(error), Unreadable::Fails) => {
                *unreadable = Unreadable::IsShown;
                return Err(error);
            }
        };
        inventory.regions.push(listed.region);
        inventory.namespaces.extend(listed.namespaces);
        inventory.unseen.extend(listed.unseen);
    }
    Ok(inventory)
}

fn listed(
    region: Region<'_>,
    origin: &Origin,
    id: &RegionId,
    labels: &ModuleLabels,
    parts: &[Part<'_>],
) -> Result<Listed, Source> {
    let mut namespaces = namespaces(region, id)?;
    for namespace in &mut namespaces {
        namespace.is_recorded = is_recorded(namespace, parts);
    }
    let properties = RegionProperties {
        identity: identity(region, origin),
        disagreement: disagreement(&namespaces, parts),
        ..properties(region, labels)?
    };
    Ok(Listed {
        region: listed_region(region, id.clone(), region_state(&properties), bad(region)?)?,
        unseen: unseen_labels(&namespaces, parts, id),
        namespaces,
    })
}

/// A region of which something could not be read. Nothing of what is in it is shown, so that nothing counts as absent or free;
/// and whatever is on its modules may be there.
fn not_seen(region: Region<'_>, id: RegionId, parts: &[Part<'_>], error: &dyn Error) -> Result<Listed, Source> {
    let device = region.device();
    tracing::debug!(region = device, error = chain(error), "a region cannot be read");
    let message = format!("{device} cannot be seen completely: {}", chain(error));
    Ok(Listed {
        unseen: unseen_labels(&[], parts, &id),
        region: listed_region(region, id, (RegionState::NotSeen, message), Vec::new())?,
        namespaces: Vec::new(),
    })
}

fn unseen_labels(namespaces: &[Namespace], parts: &[Part<'_>], region: &RegionId) -> Vec<UnseenLabel> {
    let label = |label: &Label| UnseenLabel {
        name: label.name.clone(),
        uuid: label.uuid,
        region: region.clone(),
    };
    unseen(namespaces, parts).into_iter().map(label).collect()
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

fn listed_region(
    region: Region<'_>,
    id: RegionId,
    (state, message): (RegionState, String),
    bad: Vec<Extent>,
) -> Result<inventory::Region, Source> {
    let alignment = alignment(region, state)?;
    Ok(inventory::Region {
        id,
        device: region.device(),
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
        bad,
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
