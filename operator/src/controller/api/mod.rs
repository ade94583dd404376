//! What the controller reads and writes at the API server.

mod claims;
mod error;
mod volumes;

pub use claims::ClaimsApi;
pub use error::ApiError;
pub use volumes::VolumesApi;
