//! Nodes as the scheduler sees them, with volumes coming and going.

use placement::{
    Alignment, Bytes, Extent, MapLocation, Mode, Node, NumaNode, NumaWish, Occupancy, Placed, PreparedNode, Region,
};
use placement::{RegionId, VolumeRequest, free_between};

pub const NODES: usize = 40;
pub const REGIONS: u32 = 2;
pub const REGION_GIB: u32 = 128;

/// All nodes, and what is used of them.
pub struct Cluster {
    pub hosts: Vec<Host>,
    /// Raw bytes.
    pub used: Bytes,
}

/// One node.
pub struct Host {
    pub prepared: PreparedNode,
    /// The same, without what is in its regions.
    pub plain: PreparedNode,
    volumes: Vec<Placed>,
}

/// A volume that was created.
pub struct Volume {
    host: usize,
    placed: Placed,
}

impl Cluster {
    pub fn new() -> Self {
        Self {
            hosts: std::iter::repeat_with(|| Host::new(empty_node(), Vec::new()))
                .take(NODES)
                .collect(),
            used: Bytes::ZERO,
        }
    }

    /// Raw bytes of all regions.
    pub fn total() -> Bytes {
        region_size()
            .times(i64::from(REGIONS))
            .times(i64::try_from(NODES).unwrap_or_default())
    }

    /// Creates a volume on a node where it fits, as the node's driver and the kernel do.
    pub fn create(&mut self, host: usize, request: &VolumeRequest) -> anyhow::Result<Volume> {
        let mut node = self.hosts[host].prepared.node().clone();
        let placed = node.place(request)?;
        self.used = self.used.plus(placed.extent.size);
        let mut volumes = std::mem::take(&mut self.hosts[host].volumes);
        volumes.push(placed.clone());
        self.hosts[host] = Host::new(node, volumes);
        Ok(Volume { host, placed })
    }

    pub fn delete(&mut self, volume: &Volume) {
        let host = &mut self.hosts[volume.host];
        let mut volumes = std::mem::take(&mut host.volumes);
        volumes.retain(|other| *other != volume.placed);
        self.used = self.used.minus(volume.placed.extent.size);
        let mut node = host.prepared.node().clone();
        for region in &mut node.regions {
            let here = volumes.iter().filter(|placed| placed.region == region.id);
            region.free = free_between(region_size(), here.map(|placed| placed.extent));
        }
        *host = Host::new(node, volumes);
    }

    /// The share of the free bytes that is not in the largest extent of its region.
    pub fn fragmentation(&self) -> f64 {
        let (mut free, mut largest) = (Bytes::ZERO, Bytes::ZERO);
        for region in self.hosts.iter().flat_map(|host| &host.prepared.node().regions) {
            let sizes = || region.free.iter().map(|extent| extent.size);
            free = free.plus(sizes().sum());
            largest = largest.plus(sizes().max().unwrap_or_default());
        }
        1.0 - share(largest, free)
    }
}

impl Host {
    fn new(node: Node, volumes: Vec<Placed>) -> Self {
        let occupancy = |region: &Region| Occupancy {
            region: region.id.clone(),
            size: region_size(),
            volumes: volumes.iter().filter(|placed| placed.region == region.id).count(),
        };
        let occupancy: Vec<Occupancy> = node.regions.iter().map(occupancy).collect();
        Self {
            plain: node.clone().into(),
            prepared: PreparedNode::from(node).with_occupancy(&occupancy),
            volumes,
        }
    }
}

/// `part` of `whole`; everything of nothing.
pub fn share(part: Bytes, whole: Bytes) -> f64 {
    if whole.is_zero() {
        1.0
    } else {
        float(part) / float(whole)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares are shown with four digits")]
pub fn float(bytes: Bytes) -> f64 {
    bytes.get() as f64
}

pub fn region_size() -> Bytes {
    Bytes::gib(REGION_GIB)
}

fn empty_node() -> Node {
    let region = |numa: u32| Region {
        id: RegionId(format!("r{numa}")),
        numa: Some(NumaNode(numa)),
        alignment: alignment(),
        free: vec![Extent::new(Bytes::ZERO, region_size())],
    };
    Node {
        regions: (0..REGIONS).map(region).collect(),
        ..Node::default()
    }
}

#[expect(clippy::expect_used, reason = "2 MiB is a multiple of 4 KiB")]
fn alignment() -> Alignment {
    Bytes::mib(2).try_into().expect("an alignment")
}

/// A claim that takes `raw` bytes.
pub fn request(raw: Bytes) -> VolumeRequest {
    let mode = Mode::Fsdax(MapLocation::Dev);
    VolumeRequest {
        required: mode.usable(raw),
        limit: None,
        mode,
        numa: NumaWish::Any,
    }
}
