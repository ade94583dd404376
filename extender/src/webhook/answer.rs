//! From the bytes of a request to the bytes of its answer.

use std::sync::RwLockReadGuard;
use std::time::Instant;

use tokio::time::timeout;

use super::account::tell;
use super::lookup::{Lookup, find};
use super::wire::Args;
use super::{Webhook, WebhookError, write};
use crate::decide::{Found, Known, Needs, needs_of, offer, prioritize};
use crate::index::Index;
use crate::pod::Pod;

impl<L: Lookup> Webhook<L> {
    /// Answers a filter call, and promises the pod's claims space on the nodes in the answer.
    ///
    /// # Errors
    /// If the request makes no sense, or it cannot be known yet what the answer is.
    pub async fn filter(&self, body: &[u8]) -> Result<String, WebhookError> {
        let args = Args::decode(body)?;
        let mut found = Found::default();
        loop {
            let (index, needs) = self.needs(&args.pod, &mut found).await?;
            if matches!(needs, Needs::Nothing) {
                return Ok(write::untouched(args.node_names));
            }
            drop(index);
            let names = args.names()?;
            let names: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
            // Between looking and promising, nobody else may promise the same: both are done behind one lock.
            let offered = offer(
                &mut self.index.write(),
                &found,
                &args.pod,
                &names,
                self.offering,
                Instant::now(),
            );
            // Not so if what the pod needs has changed since, and something has to be asked for again.
            if let Ok(offered) = offered {
                tell(&args.pod, &offered, names.len());
                return Ok(write::filtered(&offered));
            }
        }
    }

    /// Answers a prioritize call.
    ///
    /// # Errors
    /// If the request makes no sense, or it cannot be known yet what the answer is.
    pub async fn prioritize(&self, body: &[u8]) -> Result<String, WebhookError> {
        let args = Args::decode(body)?;
        let (index, mut needs) = self.needs(&args.pod, &mut Found::default()).await?;
        if matches!(needs, Needs::Nothing) {
            return Ok(write::scores(&[]));
        }
        let names = args.names()?;
        let names: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
        let scores = prioritize(&index, self.offering.policy, &mut needs, &names);
        drop(index);
        // Another extender may have taken some of the nodes out since filter.
        let mut index = self.index.write();
        index.narrow(&args.pod.metadata.uid, &needs.uids(), &names);
        drop(index);
        Ok(write::scores(&scores))
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

    /// Waits for the API server, but not for ever.
    ///
    /// # Errors
    /// If it cannot be asked or does not answer.
    pub(super) async fn patiently<T>(&self, asked: impl Future<Output = kube::Result<T>>) -> Result<T, WebhookError> {
        let answer = timeout(self.patience, asked).await;
        Ok(answer.map_err(|_| WebhookError::SlowApiServer(self.patience))??)
    }

    /// What the pod needs, and the index that says so. The API server is asked for what is missing: for claims first,
    /// then perhaps for their classes.
    pub(super) async fn needs(
        &self,
        pod: &Pod,
        found: &mut Found,
    ) -> Result<(RwLockReadGuard<'_, Index>, Needs), WebhookError> {
        loop {
            let missing = {
                let index = self.synced()?;
                let known = Known { index: &index, found };
                match needs_of(pod, known) {
                    Ok(needs) => return Ok((index, needs)),
                    Err(missing) => missing,
                }
            };
            self.patiently(find(&self.lookup, missing, found)).await?;
        }
    }
}
