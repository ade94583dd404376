//! From the bytes of a request to the bytes of its response.

use cluster::ReadObjects;
use tokio::time::Instant;

use super::api_server::ObjectReader;
use super::extender_args::ExtenderArgs;
use super::log::log_filtered;
use super::preemption_args::PreemptionArgs;
use super::{Webhook, WebhookError, response};
use crate::decide::{filter, filter_and_reserve, prioritize, told_score, volumes_to_look_for};

impl<R: ObjectReader> Webhook<R> {
    /// Answers a filter call, and reserves space for the pod's claims on the nodes that pass.
    pub(super) async fn filter(&self, body: &[u8]) -> Result<String, WebhookError> {
        let args = ExtenderArgs::decode(body)?;
        let deadline = self.deadline();
        let mut read = ReadObjects::default();
        loop {
            let unseen = {
                let (state, requirements) = self.requirements(deadline, &args.pod, &mut read).await?;
                if requirements.are_nothing() {
                    return Ok(response::all_passed(args.node_names));
                }
                volumes_to_look_for(&state, &args.pod, &requirements, &read)
            };
            if !unseen.is_empty() {
                self.read(deadline, unseen, &mut read).await?;
                continue;
            }
            let names = args.names()?;
            let names: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
            // The free space is read and reserved behind one lock: nobody else may reserve the same bytes in between.
            let mut state = self.state.write();
            let now = Instant::now().into_std();
            let filtered = filter_and_reserve(&mut state, &read, &args.pod, &names, self.choice, now);
            // What the pod requires may have changed since, so that something has to be read again.
            if let Ok(filtered) = filtered {
                state.answered(&args.pod, &names, !filtered.passed.is_empty(), now);
                drop(state);
                log_filtered(&args.pod, &filtered, names.len());
                return Ok(response::filtered(&filtered));
            }
        }
    }

    /// Answers a preempt call: where the pod's claims do not fit, nobody is to be evicted for it. The claims of who is evicted
    /// stay, and their volumes with them.
    pub(super) async fn preempt(&self, body: &[u8]) -> Result<String, WebhookError> {
        let PreemptionArgs { pod, victims } = PreemptionArgs::decode(body)?;
        let (state, mut requirements) = self
            .requirements(self.deadline(), &pod, &mut ReadObjects::default())
            .await?;
        let names = victims.keys().map(AsRef::as_ref);
        let holding = if requirements.are_nothing() {
            names.collect()
        } else {
            filter(&state, &mut requirements, names).passed
        };
        drop(state);
        let kept = holding.into_iter().filter_map(|name| Some((name, *victims.get(name)?)));
        Ok(response::victims(kept))
    }

    /// Answers a prioritize call, and ends the pod's reservations on nodes that it does not name.
    pub(super) async fn prioritize(&self, body: &[u8]) -> Result<String, WebhookError> {
        let args = ExtenderArgs::decode(body)?;
        let (state, mut requirements) = self
            .requirements(self.deadline(), &args.pod, &mut ReadObjects::default())
            .await?;
        if requirements.are_nothing() {
            return Ok(response::scores(&[]));
        }
        let names = args.names()?;
        let names: Vec<&str> = names.iter().map(|name| name.0.as_ref()).collect();
        let scores = prioritize(&state, self.choice.policy, &mut requirements, &names);
        let scores: Vec<(&str, u8)> = scores
            .into_iter()
            .map(|(name, score)| (name, told_score(score)))
            .collect();
        drop(state);
        // Another extender may have taken some of the nodes out since filter.
        let mut state = self.state.write();
        state.narrow(&args.pod.uid, &requirements.uids(), &names);
        drop(state);
        Ok(response::scores(&scores))
    }
}
