//! The text of a refusal, for thousands of nodes at once.

use std::fmt;
use std::sync::Arc;

use crate::Refusal;

/// The text of a [`Refusal`] in two shared parts: cheap to make for each of thousands of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What was asked, or the whole text.
    asked: Arc<str>,
    /// The space that there is.
    space: Option<Arc<str>>,
    /// What else there is to say.
    more: &'static str,
}

impl Reason {
    pub(crate) fn new(asked: Arc<str>, space: Arc<str>, more: &'static str) -> Self {
        Self {
            asked,
            space: Some(space),
            more,
        }
    }
}

impl From<Refusal> for Reason {
    fn from(refusal: Refusal) -> Self {
        Self {
            asked: refusal.to_string().into(),
            space: None,
            more: "",
        }
    }
}

impl Reason {
    /// Says `instead` of the space that there is: the same of many nodes. What does not depend on the space stays.
    pub fn without_numbers(&mut self, instead: &'static str) {
        if self.space.take().is_some() {
            self.more = instead;
        }
    }

    /// The text in parts: one after the other they are what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parts(&self) -> [&str; 4] {
        match &self.space {
            Some(space) => [&self.asked, "; ", space, self.more],
            None => [&self.asked, "", "", self.more],
        }
    }
}

/// The same text as that of the [`Explanation`](crate::Explanation).
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}
