//! Where the facts about a pod's claims come from.

use std::collections::HashMap;

use crds::PmemVolume;
use placement::NumaNode;

use crate::{Claim, Class, ObjectKey, VolumeSpace};

/// Something that looks up objects in memory, as the watches showed them.
pub trait Lookup {
    /// The claim, or none if there is no such claim.
    ///
    /// # Errors
    /// It is not indexed: read it from the API server, then ask again.
    fn claim(&self, key: &ObjectKey) -> Result<Option<&Claim>, NotIndexed>;

    /// The class, ours or not, or none if there is no such class.
    ///
    /// # Errors
    /// It is not indexed: read it from the API server, then ask again.
    fn class(&self, name: &str) -> Result<Option<&Class>, NotIndexed>;

    /// Where the volume behind the `PersistentVolume` of this name is; none if that is not ours, or not indexed.
    fn bound_volume(&self, persistent_volume: &str) -> Option<VolumePlace<'_>>;

    /// Where the PmemVolume of this name is or is being made; none if there is none, or it was refused or deleted.
    fn volume(&self, name: &str) -> Option<VolumePlace<'_>>;

    /// Whether it is certain that there is a PmemVolume of this name, or none. One watch may be further than another.
    ///
    /// # Errors
    /// It is not indexed: read it from the API server, then ask again.
    fn knows_volume(&self, name: &str) -> Result<(), NotIndexed>;

    /// The NUMA node that a PmemVolume is on or has to be on, as far as its node has told.
    fn numa_of(&self, volume: &PmemVolume) -> Option<NumaNode>;
}

/// Where a volume is, or is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumePlace<'a> {
    /// The name of its node.
    pub node: &'a str,
    /// The NUMA node that it is on or has to be on, if that is known.
    pub numa: Option<NumaNode>,
}

/// Something that has to be read from the API server before a decision can be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NotIndexed {
    /// The claim with this key.
    Claim(ObjectKey),
    /// The class of this name.
    Class(Box<str>),
    /// The PmemVolume of this name.
    Volume(Box<str>),
}

/// What was read from the API server for one decision: an index itself takes in what the watches show, nothing else.
#[derive(Clone, Debug, Default)]
pub struct ReadObjects {
    claims: HashMap<ObjectKey, Option<Claim>>,
    classes: HashMap<Box<str>, Option<Class>>,
    volumes: HashMap<Box<str>, Option<PmemVolume>>,
}

impl ReadObjects {
    /// Takes in a claim, or that there is none.
    pub fn add_claim(&mut self, key: ObjectKey, claim: Option<Claim>) {
        self.claims.insert(key, claim);
    }

    /// Takes in a class, or that there is none.
    pub fn add_class(&mut self, name: Box<str>, class: Option<Class>) {
        self.classes.insert(name, class);
    }

    /// Takes in a PmemVolume, or that there is none.
    pub fn add_volume(&mut self, name: Box<str>, volume: Option<PmemVolume>) {
        self.volumes.insert(name, volume);
    }

    /// Whether a PmemVolume of this name was read, or that there is none.
    #[must_use]
    pub fn knows_volume(&self, name: &str) -> bool {
        self.volumes.contains_key(name)
    }

    fn volume(&self, name: &str) -> Option<&PmemVolume> {
        let volume = self.volumes.get(name)?.as_ref()?;
        VolumeSpace::from(volume).stays().then_some(volume)
    }
}

/// An index, and what was read from the API server because the index did not have it.
#[derive(Debug)]
pub struct IndexedOrRead<'a, I> {
    /// Fed by watches. What it has counts, whatever was read.
    pub index: &'a I,
    /// For this decision only.
    pub read: &'a ReadObjects,
}

impl<I> Clone for IndexedOrRead<'_, I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I> Copy for IndexedOrRead<'_, I> {}

impl<I: Lookup> Lookup for IndexedOrRead<'_, I> {
    fn claim(&self, key: &ObjectKey) -> Result<Option<&Claim>, NotIndexed> {
        let read = |missing| self.read.claims.get(key).map(Option::as_ref).ok_or(missing);
        self.index.claim(key).or_else(read)
    }

    fn class(&self, name: &str) -> Result<Option<&Class>, NotIndexed> {
        let read = |missing| self.read.classes.get(name).map(Option::as_ref).ok_or(missing);
        self.index.class(name).or_else(read)
    }

    /// external-provisioner calls the `PersistentVolume` and its volume alike.
    fn bound_volume(&self, persistent_volume: &str) -> Option<VolumePlace<'_>> {
        let place = self.index.bound_volume(persistent_volume)?;
        let numa = place
            .numa
            .or_else(|| self.numa_of(self.read.volume(persistent_volume)?));
        Some(VolumePlace { numa, ..place })
    }

    fn volume(&self, name: &str) -> Option<VolumePlace<'_>> {
        self.index.volume(name).or_else(|| {
            let volume = self.read.volume(name)?;
            Some(VolumePlace {
                node: &volume.spec.node,
                numa: self.numa_of(volume),
            })
        })
    }

    fn knows_volume(&self, name: &str) -> Result<(), NotIndexed> {
        let read = |missing| self.read.volumes.get(name).map(drop).ok_or(missing);
        self.index.knows_volume(name).or_else(read)
    }

    fn numa_of(&self, volume: &PmemVolume) -> Option<NumaNode> {
        self.index.numa_of(volume)
    }
}
