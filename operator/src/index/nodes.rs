//! The `PmemNodes`, by name, and which of them report each volume.

use std::collections::{BTreeMap, BTreeSet};

use crds::{KeptVolume, PmemNode, PmemNodeStatus, RegionStatus};

use super::store::Store;
use crate::kept_volumes::KeptPlace;

/// The `PmemNodes`, by name, and which of them report each volume.
#[derive(Debug, Default)]
pub struct Nodes {
    store: Store<PmemNode>,
    /// The nodes that report a volume in any way, by its id.
    reporting: BTreeMap<String, BTreeSet<String>>,
    /// The nodes that keep volumes without object: few at any time.
    keeping: BTreeSet<String>,
    /// The volumes of nodes whose last report is of the past, by node, as they were in the reports before: etcd was restored, or
    /// somebody wrote a report over. Until the node reports anew, they may be there.
    hidden: BTreeMap<String, BTreeSet<String>>,
    /// The last report of nodes that are there and have no PmemNode any more: somebody deleted it, which says nothing of what is
    /// on their devices.
    deleted: BTreeMap<String, PmemNodeStatus>,
}

/// What a node reports of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDevice<'a> {
    /// Its namespace is there, and the node has seen its PmemVolume.
    Known,
    /// Its namespace was there in a report before the last one, which is of the past.
    Earlier,
    /// Its namespace is there with its data, and the node has seen that it has no PmemVolume.
    Kept(&'a RegionStatus, &'a KeptVolume),
    /// It was deleted, and its bytes are not all zero yet.
    Erasing,
}

impl Nodes {
    /// Whether the watch has completed a list.
    pub fn synced(&self) -> bool {
        self.store.synced()
    }

    /// The PmemNode of that name.
    pub fn get(&self, name: &str) -> Option<&PmemNode> {
        self.store.get(name)
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.store.iter().map(|(name, _)| name)
    }

    /// What the nodes report of the volume: one entry for each node, or for each namespace where it is kept.
    pub fn reports_of(&self, volume: &str) -> Vec<(&str, OnDevice<'_>)> {
        let nodes = self.reporting.get(volume).into_iter().flatten();
        let reported = nodes.filter_map(|node| Some((node.as_str(), self.status(node)?)));
        let entries =
            reported.flat_map(|(node, status)| on_device(status, volume).into_iter().map(move |on| (node, on)));
        entries.chain(self.hiding(volume)).collect()
    }

    /// Whether a node had the volume in a report before its last one, which is of the past: what happened to it since is not known.
    pub fn is_of_the_past(&self, volume: &str) -> bool {
        self.hidden.values().any(|volumes| volumes.contains(volume))
    }

    /// The nodes that may have the volume although their last report does not show it.
    fn hiding<'a>(&'a self, volume: &str) -> impl Iterator<Item = (&'a str, OnDevice<'a>)> {
        let is_reported = |node: &str| self.reporting.get(volume).is_some_and(|nodes| nodes.contains(node));
        self.hidden
            .iter()
            .filter(move |(node, volumes)| volumes.contains(volume) && !is_reported(node))
            .map(|(node, _)| (node.as_str(), OnDevice::Earlier))
    }

    /// The volumes that nodes keep without object.
    pub fn kept(&self) -> impl Iterator<Item = KeptPlace<'_>> {
        let of_node = |node: &'_ str| self.status(node).into_iter().flat_map(|status| &status.regions);
        self.keeping
            .iter()
            .flat_map(move |node| of_node(node).map(move |region| (node.as_str(), region)))
            .flat_map(|(node, region)| region.kept.iter().map(move |kept| KeptPlace { node, region, kept }))
    }

    /// Takes in a node.
    pub fn insert(&mut self, name: String, node: PmemNode) {
        self.remember(&name, &node);
        self.forget(&name);
        for volume in node.status.iter().flat_map(volumes) {
            self.reporting.entry(volume.into()).or_default().insert(name.clone());
        }
        if node
            .status
            .iter()
            .flat_map(|status| &status.regions)
            .any(|region| !region.kept.is_empty())
        {
            self.keeping.insert(name.clone());
        }
        self.store.insert(name, node);
    }

    /// Takes in that a node has no PmemNode any more.
    pub fn remove(&mut self, name: &str) {
        self.forget(name);
        let status = self.store.remove(name).and_then(|node| node.status);
        self.deleted.extend(status.map(|status| (name.to_owned(), status)));
    }

    /// Takes in that a node is gone for good. What it may have had is nowhere, unless it has a PmemNode.
    pub fn give_up(&mut self, name: &str) {
        if self.get(name).is_none() {
            self.hidden.remove(name);
            self.deleted.remove(name);
        }
    }

    /// A list is complete: removes all nodes whose name is not in it.
    pub fn retain(&mut self, listed: &BTreeSet<&str>) {
        let gone: Vec<String> = self
            .names()
            .filter(|name| !listed.contains(name.as_str()))
            .cloned()
            .collect();
        for name in gone {
            self.remove(&name);
        }
        self.store.retain(listed);
    }

    fn status(&self, node: &str) -> Option<&PmemNodeStatus> {
        self.store.get(node)?.status.as_ref()
    }

    /// Remembers what the node reported if `node` is of the past. What it reports after that is of now.
    fn remember(&mut self, name: &str, node: &PmemNode) {
        let shown = self.store.get(name).map(|node| node.status.clone());
        let appears = shown.is_none();
        let before = shown.unwrap_or_else(|| self.deleted.get(name).cloned());
        match (before, &node.status) {
            // It was made without a report, as a driver makes it, and that is the first one.
            (None, Some(now)) if !appears && !now.is_silent() => {
                self.hidden.remove(name);
            }
            (None, _) => return,
            // It is made anew, and not reported to yet.
            (Some(_), None) if appears => return,
            (Some(before), now)
                if now
                    .as_ref()
                    .is_none_or(|now| now.layout_revision < before.layout_revision) =>
            {
                let volumes = volumes(&before).map(str::to_owned);
                self.hidden.entry(name.to_owned()).or_default().extend(volumes);
            }
            (Some(before), Some(now)) if *now != before && !now.is_silent() => {
                self.hidden.remove(name);
            }
            (Some(_), _) => {}
        }
        self.deleted.remove(name);
    }

    /// Forgets what the node reports.
    fn forget(&mut self, name: &str) {
        self.keeping.remove(name);
        let before = self.store.get(name).and_then(|node| node.status.as_ref());
        for volume in before.into_iter().flat_map(volumes) {
            if let Some(nodes) = self.reporting.get_mut(volume) {
                nodes.remove(name);
                if nodes.is_empty() {
                    self.reporting.remove(volume);
                }
            }
        }
    }
}

/// The ids of all volumes that a node reports, some of them more than once.
fn volumes(status: &PmemNodeStatus) -> impl Iterator<Item = &str> {
    status.regions.iter().flat_map(RegionStatus::volume_names)
}

/// Data that is kept counts more than an earlier volume of that id that is being erased.
fn on_device<'a>(status: &'a PmemNodeStatus, volume: &str) -> Vec<OnDevice<'a>> {
    let regions = || status.regions.iter();
    let kept = regions().flat_map(|region| region.kept.iter().map(move |kept| (region, kept)));
    let of_volume = kept.filter(|(_, kept)| kept.name == volume);
    let kept: Vec<_> = of_volume.map(|(region, kept)| OnDevice::Kept(region, kept)).collect();
    let mut erasing = regions().flat_map(|region| &region.erasing);
    if !kept.is_empty() {
        kept
    } else if erasing.any(|erasing| erasing.name == volume) {
        vec![OnDevice::Erasing]
    } else {
        vec![OnDevice::Known]
    }
}
