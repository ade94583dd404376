//! The free space of one node, computed once per change and not per question.

use std::collections::HashMap;
use std::sync::Arc;

use crds::{PmemNodeStatus, PmemVolume, RegionStatus, VolumeSpace, free_view_of};
use placement::{Ask, Bytes, Committed, Extent, Node, Pending, Prepared, Reason, Refusal, Region};

use crate::ledger::Promise;

/// What one node published, its volumes, what is promised on it, and the free space that follows.
#[derive(Debug)]
pub struct NodeSpace {
    status: Option<PmemNodeStatus>,
    volumes: HashMap<Box<str>, Volume>,
    promised: Vec<Arc<Promise>>,
    view: View,
    empty: Prepared,
}

/// The free space of a node as one pod sees it.
#[derive(Debug)]
pub struct View {
    /// What the node published, minus the volumes that are not in there yet and what is promised, in one order.
    pub now: Prepared,
    /// The same, for whatever order they come to be created in; none if there are none.
    pub committed: Option<Box<Committed>>,
    /// What is promised, as text: "32 MiB reserved for ns/claim"; none if nothing is.
    pub reserved: Option<Arc<str>>,
}

#[derive(Debug)]
struct Volume {
    space: VolumeSpace,
    deleting: bool,
}

impl Default for NodeSpace {
    fn default() -> Self {
        Self {
            status: None,
            volumes: HashMap::new(),
            promised: Vec::new(),
            view: View::default(),
            empty: Node::default().into(),
        }
    }
}

impl Default for View {
    fn default() -> Self {
        Self {
            now: Node::default().into(),
            committed: None,
            reserved: None,
        }
    }
}

impl View {
    /// Whether all that is asked for fits beside what is promised, in whatever order all of it comes to be created.
    ///
    /// # Errors
    /// Why not, with the free space after what is promised.
    pub fn holds(&self, ask: &mut Ask) -> Result<(), Reason> {
        self.now.fits(ask)?;
        match &self.committed {
            Some(committed) if !committed.leaves_room_for(ask) => Err(self.not_beside_others(ask)),
            _ => Ok(()),
        }
    }

    fn not_beside_others(&self, ask: &Ask) -> Reason {
        let regions = self.now.node().regions.iter();
        let mode = ask.wants().first().map(|want| want.mode);
        let refusal = Refusal::NotTogether {
            required: ask.wants().iter().map(|want| want.required).collect(),
            space: mode.map_or_else(Vec::new, |mode| regions.map(|region| region.space(mode)).collect()),
        };
        refusal.into()
    }
}

impl NodeSpace {
    /// The free space at this moment.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The free space at this moment if nothing were promised to the claims with these unique ids.
    #[must_use]
    pub fn view_without(&self, claims: &[&str]) -> View {
        let others = self.promised.iter().filter(|promise| !claims.contains(&&*promise.uid));
        self.view_of(&others.cloned().collect::<Vec<_>>())
    }

    /// The free space if nothing at all were on the node: what does not fit here never fits.
    #[must_use]
    pub fn empty(&self) -> &Prepared {
        &self.empty
    }

    /// Whether the node published anything.
    #[must_use]
    pub fn is_published(&self) -> bool {
        self.status.is_some()
    }

    /// Whether a volume of that name is on its way to be used: not refused, and not about to go.
    #[must_use]
    pub fn makes(&self, volume: &str) -> bool {
        let volume = self.volumes.get(volume);
        volume.is_some_and(|volume| !volume.deleting && !volume.space.is_refused())
    }

    /// The volumes that take space which the node did not publish yet, by name.
    pub fn pending(&self) -> impl Iterator<Item = (&str, &Pending)> {
        let revision = self.status.as_ref().map(|status| status.layout_revision);
        let volumes = self.volumes.iter();
        let pending = volumes.filter(move |(_, volume)| revision.is_some_and(|now| volume.space.is_pending(now)));
        pending.map(|(name, volume)| (&**name, volume.space.pending()))
    }

    /// Whether nothing is known about the node.
    pub(super) fn is_forgotten(&self) -> bool {
        self.status.is_none() && self.volumes.is_empty()
    }

    pub(super) fn publish(&mut self, status: Option<&PmemNodeStatus>) {
        self.status = status.map(without_texts);
        self.empty = status.map(emptied).unwrap_or_default().into();
        self.refresh();
    }

    pub(super) fn add(&mut self, name: &str, volume: &PmemVolume) {
        let volume = Volume {
            space: volume.into(),
            deleting: volume.metadata.deletion_timestamp.is_some(),
        };
        self.volumes.insert(name.into(), volume);
        self.refresh();
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.volumes.remove(name);
        self.refresh();
    }

    pub(super) fn promise(&mut self, promised: Vec<Arc<Promise>>) {
        self.promised = promised;
        self.refresh();
    }

    fn refresh(&mut self) {
        self.view = self.view_of(&self.promised);
    }

    fn view_of(&self, promised: &[Arc<Promise>]) -> View {
        let Some(status) = &self.status else {
            return View::default();
        };
        let volumes = self.volumes.values().map(|volume| &volume.space);
        let of_promise = |promise: &Arc<Promise>| Pending {
            want: promise.want,
            region: None,
        };
        let held: Vec<Pending> = promised.iter().map(of_promise).collect();
        let now = free_view_of(status, volumes).free_view(&held);
        let pending = self.pending().map(|(_, pending)| pending.clone());
        let all: Vec<Pending> = pending.chain(held).collect();
        View {
            now: now.into(),
            committed: committed(status, all),
            reserved: reserved(promised),
        }
    }
}

fn committed(status: &PmemNodeStatus, all: Vec<Pending>) -> Option<Box<Committed>> {
    if all.is_empty() {
        return None;
    }
    let committed = Committed::new(status.to_placement(), all);
    (!committed.is_empty()).then(|| Box::new(committed))
}

fn reserved(promised: &[Arc<Promise>]) -> Option<Arc<str>> {
    let first = &promised.first()?.claim;
    let bytes: Bytes = promised.iter().map(|promise| promise.want.required).sum();
    let more = match promised.len() - 1 {
        0 => String::new(),
        1 => " and another claim".into(),
        more => format!(" and {more} other claims"),
    };
    Some(format!("{bytes} reserved for {first}{more}").into())
}

/// Conditions and messages are for people.
fn without_texts(status: &PmemNodeStatus) -> PmemNodeStatus {
    let region = |region: &RegionStatus| RegionStatus {
        message: String::new(),
        ..region.clone()
    };
    PmemNodeStatus {
        layout_revision: status.layout_revision,
        regions: status.regions.iter().map(region).collect(),
        ..PmemNodeStatus::default()
    }
}

/// The node as if its ready regions were free from end to end.
fn emptied(status: &PmemNodeStatus) -> Node {
    let emptied = |region: &RegionStatus| {
        Some(Region {
            free: vec![Extent::new(Bytes::ZERO, region.size)],
            ..region.to_placement()?
        })
    };
    Node {
        regions: status.regions.iter().filter_map(emptied).collect(),
    }
}
