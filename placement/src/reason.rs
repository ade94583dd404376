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

/// The same text as that of the [`Explanation`](crate::Explanation).
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.asked)?;
        match &self.space {
            Some(space) => write!(f, "; {space}{}", self.more),
            None => Ok(()),
        }
    }
}
