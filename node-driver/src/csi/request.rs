//! What every request must have.

use std::path::PathBuf;

use tonic::Code;

use super::{CapabilityError, Coded};

/// A request that the CSI specification does not allow, or that asks for what no volume can do.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    /// A field is empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A path is not absolute.
    #[error("{field} is {path:?}: it has to be an absolute path")]
    NotAbsolute {
        /// The field.
        field: &'static str,
        /// What is in it.
        path: String,
    },
    /// The volume capability is not one that volumes have.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
}

impl Coded for BadRequest {
    fn code(&self) -> Code {
        match self {
            Self::Missing(_) | Self::NotAbsolute { .. } => Code::InvalidArgument,
            Self::Capability(error) => error.code(),
        }
    }
}

/// A field that must not be empty.
pub(super) fn required(field: &'static str, value: String) -> Result<String, BadRequest> {
    if value.is_empty() {
        return Err(BadRequest::Missing(field));
    }
    Ok(value)
}

/// A field that must be an absolute path.
pub(super) fn absolute(field: &'static str, value: String) -> Result<PathBuf, BadRequest> {
    let path = PathBuf::from(required(field, value)?);
    if !path.is_absolute() {
        return Err(BadRequest::NotAbsolute {
            field,
            path: path.display().to_string(),
        });
    }
    Ok(path)
}
