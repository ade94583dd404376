//! CreateVolume: writes a PmemVolume and waits until its node has carried it out.

mod call;
mod error;
mod existing;
mod kept;
mod limit;
mod replace;
mod volume;

pub use error::CreateError;
pub use kept::KeptError;
