//! Conditions in the status of our objects.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The longest message that Kubernetes takes (`metav1.Condition` in apimachinery).
const MAX_MESSAGE: usize = 32_768;

/// What a condition says, without the time since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Says {
    /// Which condition.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Why, in one word for programs.
    pub reason: &'static str,
    /// Why and what to do, for people.
    pub message: String,
}

/// The conditions `before` with the one that `says` speaks of set. The time changes only when it starts or stops to hold.
#[must_use]
pub fn with(before: &[Condition], says: &Says, now: Timestamp) -> Vec<Condition> {
    let status = if says.holds { "True" } else { "False" };
    let old = before.iter().find(|condition| condition.type_ == says.kind);
    let since = old
        .filter(|old| old.status == status)
        .map_or(Time(now), |old| old.last_transition_time.clone());
    let set = Condition {
        type_: says.kind.into(),
        status: status.into(),
        reason: says.reason.into(),
        message: says.message.chars().take(MAX_MESSAGE).collect(),
        last_transition_time: since,
        observed_generation: None,
    };
    let others = before.iter().filter(|condition| condition.type_ != says.kind);
    let mut all: Vec<Condition> = others.cloned().chain([set]).collect();
    all.sort_by(|a, b| a.type_.cmp(&b.type_));
    all
}

/// Whether the condition `kind` is there and holds.
#[must_use]
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    conditions
        .iter()
        .any(|condition| condition.type_ == kind && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(holds: bool, message: &str) -> Says {
        Says {
            kind: "Ready",
            holds,
            reason: "Because",
            message: message.into(),
        }
    }

    #[test]
    fn the_time_is_that_of_the_last_change() {
        let [one, two] = [1, 2].map(|second| Timestamp::from_second(second).unwrap());
        let first = with(&[], &says(true, "a"), one);
        let same = with(&first, &says(true, "b"), two);
        assert_eq!(same[0].last_transition_time, Time(one));
        assert_eq!(same[0].message, "b");
        let other = with(&same, &says(false, "c"), two);
        assert_eq!(other[0].last_transition_time, Time(two));
        assert_eq!(other.len(), 1);
    }
}
