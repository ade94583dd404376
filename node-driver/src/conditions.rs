//! Conditions in the status of our objects.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The longest message that Kubernetes takes (`metav1.Condition` in apimachinery).
const MAX_MESSAGE: usize = 32_768;

/// A condition to be set; the time since when it is so follows from the conditions before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCondition {
    /// Its type, such as `Ready`.
    pub kind: &'static str,
    pub is_true: bool,
    /// One word for programs.
    pub reason: &'static str,
    /// Why and what to do, for people.
    pub message: String,
}

/// The conditions `before` with `new` in the place of the one of its kind, sorted by kind. Its time changes only when it
/// becomes true or false.
#[must_use]
pub fn set(before: &[Condition], new: &NewCondition, now: Timestamp) -> Vec<Condition> {
    let status = if new.is_true { "True" } else { "False" };
    let old = before.iter().find(|condition| condition.type_ == new.kind);
    let since = old
        .filter(|old| old.status == status)
        .map_or(Time(now), |old| old.last_transition_time.clone());
    let condition = Condition {
        type_: new.kind.into(),
        status: status.into(),
        reason: new.reason.into(),
        message: new.message.chars().take(MAX_MESSAGE).collect(),
        last_transition_time: since,
        observed_generation: None,
    };
    let others = before.iter().filter(|condition| condition.type_ != new.kind);
    let mut all: Vec<Condition> = others.cloned().chain([condition]).collect();
    all.sort_by(|a, b| a.type_.cmp(&b.type_));
    all
}

/// Whether there is a condition `kind`, and it is true.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    conditions
        .iter()
        .any(|condition| condition.type_ == kind && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(is_true: bool, message: &str) -> NewCondition {
        NewCondition {
            kind: "Ready",
            is_true,
            reason: "Because",
            message: message.into(),
        }
    }

    #[test]
    fn the_time_is_that_of_the_last_change() {
        let [one, two] = [1, 2].map(|second| Timestamp::from_second(second).unwrap());
        let first = set(&[], &ready(true, "a"), one);
        let same = set(&first, &ready(true, "b"), two);
        assert_eq!(same[0].last_transition_time, Time(one));
        assert_eq!(same[0].message, "b");
        let other = set(&same, &ready(false, "c"), two);
        assert_eq!(other[0].last_transition_time, Time(two));
        assert_eq!(other.len(), 1);
    }
}
