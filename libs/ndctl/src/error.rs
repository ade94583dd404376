//! What can go wrong, and with which object.

use std::ffi::c_int;
use std::{fmt, io};

use crate::label::LabelError;

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or the library refused a step; the source is the error number it gave.
    ///
    /// For the steps that enable something, libndctl answers ENXIO whatever the kernel's reason was.
    #[error("cannot {operation} {object}")]
    Refused {
        /// What was tried.
        operation: Operation,
        /// Device name of what it was tried on.
        object: String,
        /// Why not.
        source: io::Error,
    },
    /// There is no device of this name.
    #[error("there is no device {object}")]
    NotFound {
        /// The name that was looked for.
        object: String,
    },
    /// The kernel has a device that libndctl could not read, or that came after this context listed its kind.
    ///
    /// Nothing may be concluded from such a list; open a new context and try again.
    #[error("the list of devices lacks {object}, which the kernel has")]
    Incomplete {
        /// Name of the device that is missing.
        object: String,
    },
    /// The region offers no idle device of this kind to configure.
    #[error("region {region} has no idle {kind} device to configure")]
    NoSeed {
        /// The region.
        region: String,
        /// "namespace", "pfn" or "btt".
        kind: &'static str,
    },
    /// The namespace covers a region without labels: such a namespace can be neither made nor deleted.
    #[error("namespace {namespace} has no label and cannot be deleted")]
    LabelLess {
        /// The namespace.
        namespace: String,
    },
    /// What was read from a label area is damaged: nothing may be concluded from what is not in it.
    #[error("the label area of {device} is damaged")]
    Labels {
        /// The memory device.
        device: String,
        /// What is wrong with it.
        source: LabelError,
    },
    /// The namespace is enabled or claimed by another device; disable it first.
    #[error("namespace {namespace} is in use")]
    InUse {
        /// The namespace.
        namespace: String,
    },
}

impl Error {
    /// The error for the negative error number `code`.
    pub(crate) fn refused(operation: Operation, object: String, code: c_int) -> Self {
        let source = io::Error::from_raw_os_error(code.saturating_neg());
        Self::io(operation, object, source)
    }

    pub(crate) fn io(operation: Operation, object: String, source: io::Error) -> Self {
        Self::Refused {
            operation,
            object,
            source,
        }
    }
}

/// A single step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Open a library context.
    Open,
    /// List devices.
    List,
    /// Read an attribute.
    Read(&'static str),
    /// Write an attribute.
    Set(&'static str),
    /// Give a namespace to a pfn or btt device.
    Attach,
    /// Enable a device.
    Enable,
    /// Disable a device.
    Disable,
    /// Delete a namespace.
    Delete,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::List => f.write_str("list"),
            Self::Read(what) => write!(f, "read the {what} of"),
            Self::Set(what) => write!(f, "set the {what} of"),
            Self::Attach => f.write_str("attach a namespace to"),
            Self::Enable => f.write_str("enable"),
            Self::Disable => f.write_str("disable"),
            Self::Delete => f.write_str("delete"),
        }
    }
}

/// `code` itself, or the error that a negative one stands for.
pub(crate) fn check(code: c_int, operation: Operation, object: impl FnOnce() -> String) -> Result<c_int, Error> {
    if code < 0 {
        Err(Error::refused(operation, object(), code))
    } else {
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn names_the_step_and_leaves_the_reason_to_the_source() {
        let busy = check(-16, Operation::Set("size"), || "namespace0.1".into()).unwrap_err();
        assert_eq!(busy.to_string(), "cannot set the size of namespace0.1");
        let source = busy.source().and_then(|s| s.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(16));
    }

    #[test]
    fn a_number_that_is_not_negative_is_no_error() {
        assert_eq!(check(1, Operation::Enable, || unreachable!()).unwrap(), 1);
    }
}
