//! One program: what it asks for, and what it sees of the cluster.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use axum::body::{Bytes, to_bytes};
use http::{Request, StatusCode};
use kube::Client;

use super::answers::{Answers, Mark};
use super::asked::{Asked, Verb};
use super::forward::send;
use super::gates::{Gates, HeldWrite, When};
use super::lists::{Lists, Past};
use super::watches::{Ending, Flow, Order, Watches};

/// What no list of a test comes near.
const LARGEST: usize = 64 << 20;

/// One program: what it asks for, and what it sees of the cluster.
pub(crate) struct Caller {
    pub(super) upstream: Client,
    pub(super) answers: Answers,
    pub(super) gates: Gates,
    pub(super) lists: Lists,
    pub(super) watches: Watches,
}

impl Caller {
    pub(super) fn new(upstream: Client) -> Self {
        Self {
            upstream,
            answers: Answers::default(),
            gates: Gates::default(),
            lists: Lists::default(),
            watches: Watches::default(),
        }
    }

    /// Holds the next write that `matches`.
    pub(crate) fn hold_write(
        &self,
        what: &str,
        when: When,
        matches: impl Fn(&Asked) -> bool + Send + Sync + 'static,
    ) -> HeldWrite {
        self.gates.add(what, when, Box::new(matches))
    }

    /// Holds the events of all watches of `kind` (`pmemvolumes`) from now on.
    pub(crate) fn freeze(&self, kind: &str) {
        self.watches.set(kind, |control| control.flow = Flow::Held);
    }

    /// Delivers them so that the object that changed last comes first, and all that come.
    pub(crate) fn thaw_in_another_order(&self, kind: &str) {
        self.watches.set(kind, |control| {
            control.flow = Flow::Passes;
            control.order = Order::LastObjectFirst;
        });
    }

    /// Takes away events of `kind` that are held or come, without a word, until something else is said of them.
    pub(crate) fn drop_events(&self, kind: &str) {
        self.watches.set(kind, |control| control.flow = Flow::Dropped);
    }

    /// Takes away the events of `kind` that are held, and has the program list again: what came and went meanwhile, it never
    /// hears of.
    pub(crate) fn lose(&self, kind: &str) {
        self.watches.set(kind, |control| {
            control.flow = Flow::Passes;
            control.endings += 1;
            control.ending = Ending::Expired;
        });
    }

    /// Breaks the connections of the watches of `kind`: the program goes on from the last event that it was shown.
    pub(crate) fn break_off(&self, kind: &str) {
        self.watches.set(kind, |control| {
            control.endings += 1;
            control.ending = Ending::Broken;
        });
    }

    /// Everything is seen as it is again: no list of the past, no event held.
    pub(crate) fn catch_up(&self) {
        self.lists.set_past(None);
        self.watches.reset();
    }

    /// All lists that the program has asked for so far, as they are answered now.
    pub(crate) async fn record(&self) -> Result<Past> {
        let mut past = BTreeMap::new();
        for (uri, headers) in self.lists.asked() {
            let mut request = Request::get(&uri).body(())?;
            *request.headers_mut() = headers;
            let response = send(&self.upstream, request.into_parts().0, Bytes::new()).await?;
            ensure!(response.status().is_success(), "{uri}: {}", response.status());
            let body = to_bytes(response.into_body(), LARGEST).await;
            past.insert(uri, body.context("reading a list")?);
        }
        Ok(Past(past))
    }

    /// From now on the program's lists are of that time, and no event after it is delivered, until [`Caller::catch_up`]: as with
    /// an API server that is behind. Single objects are read as they are.
    pub(crate) fn live_in(&self, past: &Past) {
        self.lists.set_past(Some(past.clone()));
        self.watches.hold_all(true);
    }

    /// Remembers what was answered so far.
    pub(crate) fn mark(&self) -> Mark {
        self.answers.mark()
    }

    /// Waits until a watch of `kind` began after `mark`.
    pub(crate) async fn watches(&self, mark: Mark, what: &str, kind: &str) -> Result<()> {
        let is_it = |asked: &Asked, status: StatusCode| asked.is(Verb::Watch, kind) && status.is_success();
        self.answered(mark, what, is_it).await
    }

    /// Waits until something that `is_it` was asked for and answered after `mark`.
    pub(crate) async fn answered(
        &self,
        mark: Mark,
        what: &str,
        is_it: impl Fn(&Asked, StatusCode) -> bool,
    ) -> Result<()> {
        self.answers.since(mark, what, is_it).await
    }
}
