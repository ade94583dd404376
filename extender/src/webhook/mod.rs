//! The calls of kube-scheduler.

mod api_server;
mod body;
mod calls;
mod context;
mod error;
mod explain;
mod extender_args;
mod go_object;
mod log;
mod preemption_args;
mod response;
mod router;
mod slim_pod;

pub use api_server::{ApiServer, ObjectReader};
pub use context::{TIME_LIMIT, Webhook};
pub use error::WebhookError;
pub use extender_args::DecodeError;
pub use router::router;
