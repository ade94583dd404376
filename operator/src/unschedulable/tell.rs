//! The event on a pod.

use crds::MANAGED_BY;
use k8s_openapi::api::core::v1::PodCondition;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::info;

use super::WaitingPod;

/// Bytes of the longest note that the API server takes (`NoteLengthLimit` of its event validation).
const LONGEST: usize = 1024;

/// What was said of a pod.
#[derive(Clone)]
pub struct Told {
    text: String,
    condition: PodCondition,
    /// It counts what it says again, but takes a new text for the old one: so each text has its own.
    recorder: Recorder,
}

/// Publishes `text` on `pod`, unless `before` was the same about the same condition. Returns what was said by now.
///
/// # Errors
/// If the API server does not take the event.
pub async fn tell(client: &Client, pod: &WaitingPod, text: String, before: Option<Told>) -> kube::Result<Told> {
    let recorder = match before {
        Some(before) if before.text == text && before.condition == pod.condition => return Ok(before),
        Some(before) if before.text == text => before.recorder,
        Some(_) | None => Recorder::new(client.clone(), Reporter::from(MANAGED_BY)),
    };
    info!(pod = pod.reference.name, namespace = pod.namespace(), "{text}");
    recorder.publish(&event(&text), &pod.reference).await?;
    Ok(Told {
        text,
        condition: pod.condition.clone(),
        recorder,
    })
}

fn event(text: &str) -> Event {
    Event {
        type_: EventType::Warning,
        reason: "NoPersistentMemory".into(),
        note: Some(cut(text).into()),
        action: "Scheduling".into(),
        secondary: None,
    }
}

fn cut(text: &str) -> &str {
    let end = (0..=text.len().min(LONGEST))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_as_long_as_the_api_server_takes_it() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"a".repeat(2000)).len(), LONGEST);
        assert_eq!(cut(&format!("{}é", "a".repeat(LONGEST - 1))).len(), LONGEST - 1);
    }
}
