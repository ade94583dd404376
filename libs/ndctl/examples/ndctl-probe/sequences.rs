//! Random creates and deletes, each predicted with `placement` before the kernel is asked.

use anyhow::Result;
use ndctl::{Context, PageMap};
use placement::{
    Alignment, Bytes, Extent, MapLocation, Mode, NumaWish, Offer, Refusal, Region, RegionId, VolumeRequest,
    free_between, usable_of,
};
use serde_json::{Value, json};

use crate::pieces::{Use, align, block_size, make, remove};
use crate::{print, reasons};

const MODES: [Mode; 3] = [
    Mode::Fsdax(MapLocation::Dev),
    Mode::Fsdax(MapLocation::Mem),
    Mode::Sector,
];
/// A region fills up within this many creates, so that most sequences see it full, fragmented and empty.
const KEPT: usize = 12;
/// In multiples of what somebody else's namespaces are made. They meet inside of our units.
const FOREIGN: [Option<Bytes>; 3] = [None, Some(Bytes::kib(4)), Some(Bytes::mib(1))];

/// A region as `placement` thinks it is, and the namespaces made in it.
struct Model {
    device: String,
    size: Bytes,
    alignment: Alignment,
    made: Vec<(String, Extent)>,
    /// Namespaces of somebody else, which stay.
    foreign: Vec<(String, Extent)>,
    /// What the kernel counted as used although nobody has it, once those were there.
    withheld: Bytes,
    random: Random,
}

/// Runs `steps` random steps at each of two alignments, without and beside others' namespaces, from empty to empty.
pub(crate) fn measure(region: &str, seed: u64, steps: u32) -> Result<()> {
    let before = Context::new()?.region(region)?.align();
    for unit in [2, 16].map(Bytes::mib) {
        for foreign in FOREIGN {
            let mut model = Model::new(region, unit, seed)?;
            if let Some(grain) = foreign {
                model.add_foreign(grain)?;
            }
            align(region, unit)?;
            model.withheld = model.usable().minus(Context::new()?.region(region)?.available_size()?);
            for _ in 0..steps {
                print(model.step()?);
            }
            while !model.made.is_empty() {
                print(model.delete()?);
            }
            model.foreign.iter().try_for_each(|(device, _)| remove(device))?;
        }
    }
    if let Some(before) = before {
        align(region, before)?;
    }
    Ok(())
}

impl Model {
    fn new(region: &str, unit: Bytes, seed: u64) -> Result<Self> {
        Ok(Self {
            device: region.to_owned(),
            size: Context::new()?.region(region)?.size(),
            alignment: Alignment::try_from(unit)?,
            made: Vec::new(),
            foreign: Vec::new(),
            withheld: Bytes::ZERO,
            random: Random(seed ^ unit.get_u64()),
        })
    }

    /// Four namespaces of a sixteenth of the region at most, in multiples of `grain`; the second one goes again.
    fn add_foreign(&mut self, grain: Bytes) -> Result<()> {
        align(&self.device, grain)?;
        let most = self.size.get_u64() / 16;
        for _ in 0..4 {
            let size = Bytes::try_from(i64::try_from(self.random.next() % most)?)?;
            let device = make(&self.device, "foreign", size.round_up(grain).plus(grain), Use::Raw)?;
            let extent = self.extent(&device)?;
            self.foreign.push((device, extent));
        }
        let (gone, _) = self.foreign.swap_remove(1);
        Ok(remove(&gone)?)
    }

    fn step(&mut self) -> Result<Value> {
        // The fuller it is, the more often something goes.
        if self.random.below(KEPT) < self.made.len() {
            self.delete()
        } else {
            self.create()
        }
    }

    fn between(&self) -> Vec<Extent> {
        let taken = self.made.iter().chain(&self.foreign).map(|(_, extent)| *extent);
        free_between(self.size, taken)
    }

    /// What the kernel could use if it withheld nothing.
    fn usable(&self) -> Bytes {
        usable_of(&self.between(), self.alignment.get())
    }

    fn region(&self) -> Region {
        let offer = Offer {
            total: self.usable().minus(self.withheld),
            ..Offer::EVERYTHING
        };
        Region {
            id: RegionId("probe".into()),
            numa: None,
            alignment: self.alignment,
            free: offer.of(self.between(), self.alignment),
        }
    }

    fn request(&mut self) -> Result<VolumeRequest> {
        let mode = MODES[self.random.below(MODES.len())];
        // As many small ones as large ones: the exponent is uniform.
        let most = self.size.get_u64() >> self.random.below(10);
        let required = (1 << 20) + self.random.next() % most;
        Ok(VolumeRequest {
            required: Bytes::try_from(i64::try_from(required)?)?,
            limit: None,
            mode,
            numa: NumaWish::Any,
        })
    }

    fn create(&mut self) -> Result<Value> {
        let request = self.request()?;
        let predicted = self.region().place(&request);
        let raw = request.mode.footprint(self.alignment, request.required, None)?;
        let seen = match make(&self.device, "probe", raw, purpose(request.mode)) {
            Ok(device) => self.made(device)?,
            Err(error) => json!({ "refused": true, "why": reasons(&error) }),
        };
        Ok(json!({
            "did": "create",
            "alignment": self.alignment.get(),
            "use": purpose(request.mode).to_string(),
            "required": request.required,
            "predicted": expected(&request, predicted),
            "seen": seen,
            "namespaces": self.made.len(),
            "withheld": self.withheld,
        }))
    }

    fn made(&mut self, device: String) -> Result<Value> {
        let extent = self.extent(&device)?;
        let usable = block_size(&device)?;
        self.made.push((device, extent));
        Ok(json!({ "start": extent.start, "raw": extent.size, "usable": usable }))
    }

    fn extent(&self, device: &str) -> Result<Extent> {
        let context = Context::new()?;
        let region = context.region(&self.device)?.start()?;
        let namespace = context.namespace(device)?;
        let start = namespace.start().map_or(Bytes::ZERO, |start| start.minus(region));
        Ok(Extent::new(start, namespace.size()))
    }

    /// Deletes one of them, and says what the kernel has left and what `placement` thinks it has.
    fn delete(&mut self) -> Result<Value> {
        let one = self.random.below(self.made.len());
        let (device, _) = self.made.swap_remove(one);
        remove(&device)?;
        let free = self.usable().minus(self.withheld);
        Ok(json!({
            "did": "delete",
            "predicted": { "free": free },
            "seen": { "free": Context::new()?.region(&self.device)?.available_size()? },
            "namespaces": self.made.len(),
        }))
    }
}

fn expected(request: &VolumeRequest, predicted: Result<Extent, Refusal>) -> Value {
    match predicted {
        Ok(extent) => json!({ "start": extent.start, "raw": extent.size, "usable": request.mode.usable(extent.size) }),
        Err(refusal) => json!({ "refused": true, "why": refusal.to_string() }),
    }
}

fn purpose(mode: Mode) -> Use {
    match mode {
        Mode::Fsdax(MapLocation::Dev) => Use::Fsdax(PageMap::Dev, Bytes::mib(2)),
        Mode::Fsdax(MapLocation::Mem) => Use::Fsdax(PageMap::Mem, Bytes::mib(2)),
        Mode::Sector => Use::Sector,
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and the same sequence on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or_default()
    }
}
