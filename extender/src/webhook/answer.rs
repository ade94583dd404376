//! From the bytes of a request to the bytes of its answer.

use std::sync::RwLockReadGuard;

use serde::Serialize;

use super::account::tell;
use super::lookup::{Lookup, find};
use super::wire::{Args, FilterResult, HostPriority};
use super::{Webhook, WebhookError};
use crate::decide::{Found, Known, Needs, filter, needs_of, prioritize};
use crate::index::Index;
use crate::pod::Pod;

impl<L: Lookup> Webhook<L> {
    /// Answers a filter call.
    ///
    /// # Errors
    /// If the request makes no sense, or it cannot be known yet what the answer is.
    pub async fn filter(&self, body: &[u8]) -> Result<Vec<u8>, WebhookError> {
        let args = Args::decode(body)?;
        let (index, mut needs) = self.needs(&args.pod).await?;
        if matches!(needs, Needs::Nothing) {
            return encode(&FilterResult::untouched(args.node_names));
        }
        let names = args.names()?;
        let filtered = filter(&index, &mut needs, names.iter().map(|name| name.0.as_ref()));
        drop(index);
        tell(&args.pod, &filtered, names.len());
        encode(&FilterResult::from(filtered))
    }

    /// Answers a prioritize call.
    ///
    /// # Errors
    /// If the request makes no sense, or it cannot be known yet what the answer is.
    pub async fn prioritize(&self, body: &[u8]) -> Result<Vec<u8>, WebhookError> {
        let args = Args::decode(body)?;
        let (index, mut needs) = self.needs(&args.pod).await?;
        if matches!(needs, Needs::Nothing) {
            return encode::<[HostPriority; 0]>(&[]);
        }
        let names = args.names()?;
        let names: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
        let scores = prioritize(&index, self.policy, &mut needs, &names);
        drop(index);
        let scores: Vec<_> = scores
            .into_iter()
            .map(|(host, score)| HostPriority { host, score })
            .collect();
        encode(&scores)
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
    async fn needs(&self, pod: &Pod) -> Result<(RwLockReadGuard<'_, Index>, Needs), WebhookError> {
        let mut found = Found::default();
        loop {
            let missing = {
                let index = self.synced()?;
                let known = Known {
                    index: &index,
                    found: &found,
                };
                match needs_of(pod, known) {
                    Ok(needs) => return Ok((index, needs)),
                    Err(missing) => missing,
                }
            };
            find(&self.lookup, missing, &mut found).await?;
        }
    }
}

fn encode<T: Serialize + ?Sized>(answer: &T) -> Result<Vec<u8>, WebhookError> {
    serde_json::to_vec(answer).map_err(WebhookError::Encode)
}
