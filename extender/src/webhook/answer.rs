//! From the bytes of a request to the bytes of its answer.

use std::sync::RwLockReadGuard;
use std::time::Instant;

use serde::Serialize;

use super::lookup::{Lookup, find};
use super::wire::{Args, FilterResult, HostPriority};
use super::{Webhook, WebhookError};
use crate::decide::{Filtered, Found, Known, Needs, choose, filter, needs_of, prioritize};
use crate::index::Index;
use crate::pod::Pod;

impl<L: Lookup> Webhook<L> {
    /// Answers a filter call, and promises the pod's claims space on the nodes in the answer.
    ///
    /// # Errors
    /// If the request makes no sense, or it cannot be known yet what the answer is.
    pub async fn filter(&self, body: &[u8]) -> Result<Vec<u8>, WebhookError> {
        let args = Args::decode(body)?;
        let mut found = Found::default();
        loop {
            let (index, needs) = self.needs(&args.pod, &mut found).await?;
            if matches!(needs, Needs::Nothing) {
                return encode(&FilterResult::untouched(args.node_names));
            }
            drop(index);
            let names = args.names()?;
            let names: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
            // Between looking and promising, nobody else may promise the same: both are done behind one lock.
            let filtered = self.decide(&args.pod, &found, &names);
            if let Some(filtered) = filtered {
                return encode(&FilterResult::from(filtered));
            }
        }
    }

    /// Answers a prioritize call.
    ///
    /// # Errors
    /// If the request makes no sense, or it cannot be known yet what the answer is.
    pub async fn prioritize(&self, body: &[u8]) -> Result<Vec<u8>, WebhookError> {
        let args = Args::decode(body)?;
        let (index, mut needs) = self.needs(&args.pod, &mut Found::default()).await?;
        if matches!(needs, Needs::Nothing) {
            return encode::<[HostPriority; 0]>(&[]);
        }
        let names = args.names()?;
        let names: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
        let scores = prioritize(&index, self.policy, &mut needs, &names);
        drop(index);
        // Another extender may have taken some of the nodes out since filter.
        let mut index = self.index.write();
        index.narrow(&args.pod.metadata.uid, &needs.uids(), &names);
        drop(index);
        let scores: Vec<_> = scores
            .into_iter()
            .map(|(host, score)| HostPriority { host, score })
            .collect();
        encode(&scores)
    }

    /// Sorts out the candidates, and promises the pod space on those that it offers. None if what the pod needs changed
    /// since it was looked at, so that something has to be asked for again.
    fn decide<'a>(&self, pod: &Pod, found: &Found, names: &[&'a str]) -> Option<Filtered<'a>> {
        let now = Instant::now();
        let mut index = self.index.write();
        index.tick(now);
        let mut needs = needs_of(pod, Known { index: &index, found }).ok()?;
        let mut filtered = filter(&index, &mut needs, names.iter().copied());
        let passed = std::mem::take(&mut filtered.passed);
        let (held, of) = (passed.len(), names.len());
        filtered.passed = choose(&index, self.policy, self.candidates, pod, &mut needs, passed);
        index.decide(&pod.metadata.uid, needs.claims(), &filtered.passed, now);
        drop(index);
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        tracing::debug!(namespace, name, held, of, offered = ?filtered.passed.first(), "filter");
        Some(filtered)
    }

    /// The index, once every kind was listed.
    ///
    /// # Errors
    /// Says what was not listed yet.
    pub fn synced(&self) -> Result<RwLockReadGuard<'_, Index>, WebhookError> {
        let index = self.index.read();
        if index.is_synced() {
            Ok(index)
        } else {
            Err(WebhookError::NotSynced(index.unlisted()))
        }
    }

    /// What the pod needs, and the index that says so. The API server is asked for what is missing: for claims first,
    /// then perhaps for their classes.
    async fn needs(&self, pod: &Pod, found: &mut Found) -> Result<(RwLockReadGuard<'_, Index>, Needs), WebhookError> {
        loop {
            let missing = {
                let index = self.synced()?;
                let known = Known { index: &index, found };
                match needs_of(pod, known) {
                    Ok(needs) => return Ok((index, needs)),
                    Err(missing) => missing,
                }
            };
            find(&self.lookup, missing, found).await?;
        }
    }
}

fn encode<T: Serialize + ?Sized>(answer: &T) -> Result<Vec<u8>, WebhookError> {
    serde_json::to_vec(answer).map_err(WebhookError::Encode)
}
