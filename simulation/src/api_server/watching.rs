//! Watches: streams of changes that lag, and end now and then.

use std::io;

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use http_body_util::{BodyExt, StreamBody};
use hyper_frame::Frame;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::kind::Kind;
use super::link::{Answer, Link, answer};
use super::path::Target;
use super::selector::Selector;
use super::store::Change;

use http_body as hyper_frame;

struct Watch {
    link: Link,
    kind: Kind,
    namespace: String,
    selector: Selector,
    /// The version up to which everything was looked at.
    seen: u64,
    revisions: watch::Receiver<u64>,
    epoch: watch::Receiver<u64>,
    /// Events of one stream keep their order, however long each is under way.
    last_delivery: Instant,
    is_over: bool,
}

impl Link {
    pub(super) fn watch(self, target: &Target) -> Answer {
        let seen = target.query.get("resourceVersion").and_then(|text| text.parse().ok());
        let mut epoch = self.server.epoch.subscribe();
        epoch.mark_unchanged();
        let watch = Watch {
            kind: target.key.kind,
            namespace: target.key.namespace.clone(),
            selector: target.selector(),
            seen: seen.unwrap_or_default(),
            revisions: self.server.revisions(),
            epoch,
            last_delivery: Instant::now(),
            is_over: false,
            link: self,
        };
        let lines = stream::unfold(watch, async |mut watch| {
            let line = watch.next_line().await?;
            Some((Ok::<_, io::Error>(Frame::data(Bytes::from(line))), watch))
        });
        let mut response = answer(StatusCode::OK, Vec::new());
        *response.body_mut() = StreamBody::new(Box::pin(lines)).boxed_unsync();
        response
    }
}

impl Watch {
    /// None at the end of the stream.
    async fn next_line(&mut self) -> Option<String> {
        loop {
            if self.is_over {
                return None;
            }
            self.revisions.mark_unchanged();
            match self.next_change() {
                Ok(Some((line, at))) => {
                    return self.deliver(at).await.then_some(line);
                }
                Ok(None) => self.wait().await,
                Err(line) => {
                    self.is_over = true;
                    return Some(line);
                }
            }
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            biased;
            changed = self.epoch.changed() => self.is_over |= changed.is_ok(),
            changed = self.revisions.changed() => self.is_over |= changed.is_err(),
        }
    }

    /// False if the stream ended meanwhile.
    async fn deliver(&mut self, at: Instant) -> bool {
        let longest = self.link.network.state().lag_of(self.kind);
        let lag = self.link.network.dice.up_to(longest);
        let delivery = (at + lag).max(self.last_delivery);
        self.last_delivery = delivery;
        let network = self.link.network.clone();
        let delivered = async {
            sleep_until(delivery).await;
            network.delivers().await;
        };
        tokio::select! {
            biased;
            _ = self.epoch.changed() => false,
            () = delivered => true,
        }
    }

    /// The next event as a line, and when it happened.
    fn next_change(&mut self) -> Result<Option<(String, Instant)>, String> {
        let store = self.link.server.lock();
        let changes = store
            .changes_after(self.seen)
            .map_err(|refusal| line("ERROR", &refusal.to_status()))?;
        for change in changes {
            self.seen += 1;
            if let Some(kind) = event_of(change, self.kind, &self.namespace, &self.selector) {
                return Ok(Some((line(kind, &change.after), change.at)));
            }
        }
        Ok(None)
    }
}

/// What a change is to who selects so.
fn event_of(change: &Change, kind: Kind, namespace: &str, selector: &Selector) -> Option<&'static str> {
    if change.kind != kind || !(namespace.is_empty() || change.after["metadata"]["namespace"] == namespace) {
        return None;
    }
    let was_selected = change.before.as_ref().is_some_and(|before| selector.matches(before));
    let is_selected = !change.is_deleted && selector.matches(&change.after);
    match (was_selected, is_selected) {
        (false, false) => None,
        (false, true) => Some("ADDED"),
        (true, true) => Some("MODIFIED"),
        (true, false) => Some("DELETED"),
    }
}

fn line(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}
