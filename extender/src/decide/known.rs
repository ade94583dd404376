//! What is known at the moment of a decision: the index, and what was asked of the API server because the index did not
//! have it yet.

use std::collections::HashMap;

use crate::index::{Claim, Class, Index};
use crate::object_key::ObjectKey;

/// Something that has to be asked for before a decision can be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// This claim.
    Claim(ObjectKey),
    /// The class of this name.
    Class(Box<str>),
}

/// What the API server said, for one request only: the index is the watches' alone.
#[derive(Debug, Default)]
pub struct Found {
    claims: HashMap<ObjectKey, Option<Claim>>,
    classes: HashMap<Box<str>, Option<Class>>,
}

impl Found {
    /// The claim, or that there is none.
    pub fn claim(&mut self, key: ObjectKey, claim: Option<Claim>) {
        self.claims.insert(key, claim);
    }

    /// The class, or that there is none.
    pub fn class(&mut self, name: Box<str>, class: Option<Class>) {
        self.classes.insert(name, class);
    }
}

/// What is known at the moment of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// From the watches.
    pub index: &'a Index,
    /// From the API server.
    pub found: &'a Found,
}

impl<'a> Known<'a> {
    /// The claim, or none if there is no such claim.
    ///
    /// # Errors
    /// If the API server has to be asked first.
    pub fn claim(self, key: &ObjectKey) -> Result<Option<&'a Claim>, Missing> {
        let known = self.index.claim(key).map(Some);
        let known = known.or_else(|| self.found.claims.get(key).map(Option::as_ref));
        known.ok_or_else(|| Missing::Claim(key.clone()))
    }

    /// The class, or none if there is no such class.
    ///
    /// # Errors
    /// If the API server has to be asked first.
    pub fn class(self, name: &str) -> Result<Option<&'a Class>, Missing> {
        let known = self.index.class(name).map(Some);
        let known = known.or_else(|| self.found.classes.get(name).map(Option::as_ref));
        known.ok_or_else(|| Missing::Class(name.into()))
    }
}
