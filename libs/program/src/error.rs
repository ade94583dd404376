//! An error with all its causes.

use std::error::Error;
use std::iter::successors;

/// The message of an error and of each of its sources, outermost first: "cannot list: no bus: No such file".
///
/// Some crates put the message of a source into their own. A message that stands in the one before is left out.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let messages = successors(Some(error), |&error| error.source()).map(ToString::to_string);
    let mut shown: Vec<String> = Vec::new();
    for message in messages {
        if shown.last().is_none_or(|last| !last.contains(&message)) {
            shown.push(message);
        }
    }
    shown.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as &dyn Error)
        }
    }

    fn layers(messages: &[&'static str]) -> Layer {
        let (first, rest) = messages.split_first().unwrap();
        Layer(first, (!rest.is_empty()).then(|| Box::new(layers(rest))))
    }

    #[test]
    fn every_cause_is_named_once() {
        for (messages, shown) in [
            (&["alone"][..], "alone"),
            (&["a", "b", "c"], "a: b: c"),
            (&["a", "a", "b"], "a: b"),
            (&["a", "b: c", "c"], "a: b: c"),
            (&["a: b: c", "b: c", "c", "d"], "a: b: c: d"),
        ] {
            assert_eq!(chain(&layers(messages)), shown);
        }
    }
}
