//! What the controller reads and writes at the API server.

mod error;
mod volumes;

pub use error::ApiError;
pub use volumes::VolumesApi;
