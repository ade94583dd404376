//! The text of a refusal, for thousands of nodes at once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::details::Details;
use crate::fits::Misfit;
use crate::request::Asked;

/// The text that [`PreparedNode::explain`](crate::PreparedNode::explain) gives for a node, made when it is first read:
/// of thousands of nodes, only a few come to be shown with their numbers.
#[derive(Clone, Debug)]
pub struct Reason {
    asked: Arc<Asked>,
    node: Arc<Details>,
    misfit: Misfit,
    /// What is said instead of the numbers.
    instead: Option<&'static str>,
    text: OnceLock<String>,
}

impl Reason {
    pub(super) fn new(asked: Arc<Asked>, node: Arc<Details>, misfit: Misfit) -> Self {
        Self {
            asked,
            node,
            misfit,
            instead: None,
            text: OnceLock::new(),
        }
    }

    /// Says `instead` of the space that there is, and of what is wrong with regions: the same of many nodes. What does not depend
    /// on the node stays.
    pub fn without_numbers(&mut self, instead: &'static str) {
        let depends_on_node = match self.misfit {
            Misfit::NoSpace(_) | Misfit::NotTogether { .. } => true,
            Misfit::Never(_) => !self.node.node.unready.is_empty(),
        };
        self.instead = depends_on_node.then_some(instead);
    }

    /// The text in parts: one after the other they are what [`Display`](fmt::Display) writes.
    #[must_use]
    pub fn parts(&self) -> [&str; 2] {
        match self.instead {
            Some(instead) => [self.asked(), instead],
            None => [self.with_numbers(), ""],
        }
    }

    fn with_numbers(&self) -> &str {
        let make = || self.node.explain(&self.asked.requests, self.misfit).message;
        self.text.get_or_init(make)
    }

    /// "asked 28 MiB"
    fn asked(&self) -> &str {
        match self.misfit {
            Misfit::NoSpace(index) | Misfit::Never(index) => &self.asked.each[index],
            Misfit::NotTogether { .. } => &self.asked.all,
        }
    }
}

/// Equal if the texts are.
impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.parts().concat() == other.parts().concat()
    }
}

impl Eq for Reason {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}
