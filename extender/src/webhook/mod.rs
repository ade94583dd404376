//! The calls of kube-scheduler.

mod account;
mod answer;
mod error;
mod lookup;
mod router;
#[cfg(test)]
mod tests;
pub mod wire;

pub use error::WebhookError;
pub use lookup::{ApiServer, Lookup};
pub use router::{Webhook, router};
