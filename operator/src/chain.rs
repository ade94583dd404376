//! An error with everything that caused it.

use std::error::Error;
use std::iter::successors;

/// The error and its sources, from the outside in, each once.
pub fn chain(error: &dyn Error) -> String {
    let messages = successors(Some(error), |&error| error.source()).map(ToString::to_string);
    let mut all: Vec<String> = Vec::new();
    for message in messages {
        if all.last().is_none_or(|last| !last.contains(&message)) {
            all.push(message);
        }
    }
    all.join(": ")
}
