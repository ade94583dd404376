//! Carries the events of one watch to the program, as the scenario says.

use std::io;

use axum::body::{Body, BodyDataStream, Bytes};
use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::watches::{Controls, Ending, Flow, Order};

/// What an API server says that does not know the version any more from which a watch was to begin.
const EXPIRED: &str = concat!(
    r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","#,
    r#""message":"too old resource version","reason":"Expired","code":410}}"#,
    "\n"
);

type Sender = mpsc::Sender<io::Result<Bytes>>;

/// The body that the program gets instead of that of the API server. `endings`: how many there had been for this kind when the
/// program asked.
pub(super) fn relayed(upstream: Body, kind: String, controls: watch::Receiver<Controls>, endings: u64) -> Body {
    let (sender, receiver) = mpsc::channel(64);
    let relay = Relay {
        endings,
        events: Events::of(upstream),
        waiting: Vec::new(),
        kind,
        controls,
        sender,
    };
    tokio::spawn(relay.run());
    let next = |mut receiver: mpsc::Receiver<_>| async move { Some((receiver.recv().await?, receiver)) };
    Body::from_stream(stream::unfold(receiver, next))
}

struct Relay {
    kind: String,
    controls: watch::Receiver<Controls>,
    /// How many there had been when it began.
    endings: u64,
    events: Events,
    waiting: Vec<Bytes>,
    sender: Sender,
}

impl Relay {
    /// Until either side ends. What waits then is lost, and watched again by the program.
    async fn run(mut self) {
        loop {
            let control = self.controls.borrow_and_update().of(&self.kind);
            if control.endings > self.endings {
                return self.end(control.ending).await;
            }
            match control.flow {
                Flow::Held => {}
                Flow::Dropped => self.waiting.clear(),
                Flow::Passes => {
                    if self.deliver(control.order).await.is_none() {
                        return;
                    }
                }
            }
            tokio::select! {
                event = self.events.next() => match event {
                    Some(event) => self.waiting.push(event),
                    None => return,
                },
                changed = self.controls.changed() => if changed.is_err() { return },
                () = self.sender.closed() => return,
            }
        }
    }

    /// None if the program does not listen any more.
    async fn deliver(&mut self, order: Order) -> Option<()> {
        for event in in_order(std::mem::take(&mut self.waiting), order) {
            self.sender.send(Ok(event)).await.ok()?;
        }
        Some(())
    }

    async fn end(self, ending: Ending) {
        let last = match ending {
            Ending::Broken => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
            Ending::Expired => Ok(Bytes::from_static(EXPIRED.as_bytes())),
        };
        // Who does not listen any more has to be told nothing.
        let _unheard = self.sender.send(last).await;
    }
}

fn in_order(events: Vec<Bytes>, order: Order) -> Vec<Bytes> {
    if order == Order::AsTheyCame {
        return events;
    }
    let mut by_object: Vec<(String, Vec<Bytes>)> = Vec::new();
    for event in events {
        let name = object_of(&event);
        match by_object.iter_mut().find(|(known, _)| *known == name) {
            Some((_, of_object)) => of_object.push(event),
            None => by_object.push((name, vec![event])),
        }
    }
    by_object.into_iter().rev().flat_map(|(_, events)| events).collect()
}

/// Namespace and name of the object of an event; of a bookmark, which has none, nothing.
fn object_of(event: &[u8]) -> String {
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    let metadata = &event["object"]["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default();
    format!("{}/{}", text("namespace"), text("name"))
}

/// The events in the body of a watch: one a line.
struct Events {
    body: BodyDataStream,
    read: Vec<u8>,
}

impl Events {
    fn of(body: Body) -> Self {
        Self {
            body: body.into_data_stream(),
            read: Vec::new(),
        }
    }

    /// None at the end, also if it comes in the middle of an event.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                return Some(Bytes::from(std::mem::replace(&mut self.read, rest)));
            }
            self.read.extend_from_slice(&self.body.next().await?.ok()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, number: u32) -> Bytes {
        format!(r#"{{"type":"MODIFIED","object":{{"metadata":{{"name":"{name}","number":{number}}}}}}}"#).into()
    }

    #[tokio::test]
    async fn events_are_lines_however_they_come() {
        let chunks = ["{\"a\":", "1}\n{\"b\"", ":2}\n{\"c\":3}\n{\"half"].map(Ok::<_, io::Error>);
        let mut events = Events::of(Body::from_stream(stream::iter(chunks)));
        for expected in ["{\"a\":1}\n", "{\"b\":2}\n", "{\"c\":3}\n"] {
            assert_eq!(events.next().await.unwrap(), expected);
        }
        assert_eq!(events.next().await, None);
    }

    #[test]
    fn events_of_one_object_stay_in_order() {
        let came = vec![event("a", 1), event("b", 1), event("a", 2)];
        let expected = vec![event("b", 1), event("a", 1), event("a", 2)];
        assert_eq!(in_order(came, Order::LastObjectFirst), expected);
    }
}
