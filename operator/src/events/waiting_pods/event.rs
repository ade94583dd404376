//! The event on a pod that waits.

use crds::MANAGED_BY;
use k8s_openapi::api::core::v1::PodCondition;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::info;

use super::pod::WaitingPod;

/// Bytes of the longest note that the API server takes (`NoteLengthLimit` of its event validation).
const LONGEST: usize = 1024;

/// An event that the API server took.
#[derive(Clone)]
pub struct RecordedEvent {
    text: String,
    condition: PodCondition,
    /// It counts a repeated event without comparing its text, so each text has a recorder of its own.
    recorder: Recorder,
}

/// Records `text` as event on `pod`, unless the `last` event has the same text for the same condition of the pod. Returns
/// the last event then.
///
/// # Errors
/// If the API server does not take the event: try again with no `last` one.
pub async fn record(
    client: &Client,
    pod: &WaitingPod,
    text: String,
    last: Option<RecordedEvent>,
) -> kube::Result<RecordedEvent> {
    let recorder = match last {
        Some(last) if last.text == text && last.condition == pod.condition => return Ok(last),
        Some(last) if last.text == text => last.recorder,
        Some(_) | None => Recorder::new(client.clone(), Reporter::from(MANAGED_BY)),
    };
    info!(pod = %pod.pod.name, namespace = %pod.pod.namespace, "{text}");
    recorder.publish(&event(&text), &pod.reference).await?;
    Ok(RecordedEvent {
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
