//! The calls of kube-scheduler.

mod api_server;
mod body;
mod calls;
mod error;
mod explain;
pub mod extender_args;
mod log;
mod response;
mod router;

pub use api_server::{ApiServer, ObjectReader};
pub use error::WebhookError;
pub use router::{TIME_LIMIT, Webhook, router};
