//! The calls of kube-scheduler.

mod account;
mod answer;
mod body;
mod error;
mod explain;
mod lookup;
mod router;
#[cfg(test)]
mod tests;
pub mod wire;
mod write;

pub use error::WebhookError;
pub use lookup::{ApiServer, Lookup};
pub use router::{PATIENCE, Webhook, router};
