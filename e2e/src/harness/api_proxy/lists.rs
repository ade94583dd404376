//! Lists of the past: what an API server answers that is behind.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use http::{HeaderMap, Method};

use super::asked::Asked;

/// The answers to all lists that a program had asked for until then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past(pub(super) BTreeMap<String, Bytes>);

impl Past {
    /// The same, but for one kind, which is as it is now.
    pub(crate) fn without(mut self, kind: &str) -> Self {
        let is_other = |uri: &str| uri.parse().is_ok_and(|uri| Asked::of(&Method::GET, &uri).kind != kind);
        self.0.retain(|uri, _| is_other(uri));
        self
    }
}

/// The lists of one program.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What it asked for, with the headers of the last time, by path and query.
    asked: BTreeMap<String, HeaderMap>,
    past: Option<Past>,
}

impl Lists {
    /// The answer of the past to a list, if the program lives in the past. A kind that it did not ask for then is as it is now.
    pub(super) fn answer(&self, uri: &str, headers: &HeaderMap) -> Option<Bytes> {
        let mut state = self.lock();
        if !uri.contains("continue=") {
            state.asked.insert(uri.to_owned(), headers.clone());
        }
        state.past.as_ref()?.0.get(uri).cloned()
    }

    pub(super) fn asked(&self) -> BTreeMap<String, HeaderMap> {
        self.lock().asked.clone()
    }

    pub(super) fn set_past(&self, past: Option<Past>) {
        self.lock().past = past;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
