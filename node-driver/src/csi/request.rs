//! Checks of fields that several requests have.

use std::path::{Component, PathBuf};

use ::csi::RpcError;
use tonic::Code;

use super::capability::CapabilityError;

/// A request that the CSI specification does not allow, or that asks for what no volume can do.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadRequest {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{field} is {path:?}: it has to be an absolute path without \"..\"")]
    NotAbsolute { field: &'static str, path: String },
    #[error(transparent)]
    Capability(#[from] CapabilityError),
}

impl RpcError for BadRequest {
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

/// A field that must be an absolute path without `..`: behind a symbolic link, that means another place than it says.
pub(super) fn absolute(field: &'static str, value: String) -> Result<PathBuf, BadRequest> {
    let path = PathBuf::from(required(field, value)?);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err(BadRequest::NotAbsolute {
            field,
            path: path.display().to_string(),
        });
    }
    Ok(path)
}
