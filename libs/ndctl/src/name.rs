//! The name of a namespace.

use std::ffi::{CStr, CString};
use std::fmt;
use std::str::FromStr;

/// The longest name: a label has 64 bytes for it, one of them NUL (kernel: `NSLABEL_NAME_LEN` in `ndctl.h`).
const MAX_BYTES: usize = 63;

/// A name that a namespace can carry in its label (`alt_name`): 1 to 63 bytes, as the kernel keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamespaceName(CString);

/// The text cannot be the name of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing in it.
    #[error("a namespace needs a name of at least one byte")]
    Empty,
    /// It is too long for the label.
    #[error("a namespace's name has at most {MAX_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// It has a control character, or a space at an end, which the kernel would cut off.
    #[error("a namespace's name has no control characters, and no spaces at its ends")]
    Character,
}

impl NamespaceName {
    /// The name as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Made of a str and never changed, so the fallback is never seen.
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        &self.0
    }
}

impl FromStr for NamespaceName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        match name.len() {
            0 => return Err(NameError::Empty),
            n if n > MAX_BYTES => return Err(NameError::TooLong(n)),
            _ => (),
        }
        // The kernel strips white space from both ends (alt_name_store in drivers/nvdimm/namespace_devs.c).
        if name.trim() != name || name.chars().any(char::is_control) {
            return Err(NameError::Character);
        }
        CString::new(name).map(Self).map_err(|_| NameError::Character)
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_up_to_63_bytes() {
        let longest = "n".repeat(63);
        assert_eq!(longest.parse::<NamespaceName>().unwrap().as_str(), longest);
        let over = "n".repeat(64).parse::<NamespaceName>();
        assert_eq!(over, Err(NameError::TooLong(64)));
        let bytes_count = "ä".repeat(32).parse::<NamespaceName>();
        assert_eq!(bytes_count, Err(NameError::TooLong(64)));
    }

    #[test]
    fn refuses_what_the_kernel_would_change() {
        assert_eq!("".parse::<NamespaceName>(), Err(NameError::Empty));
        for bad in [" a", "a ", "a\n", "a\0b", "a\u{7f}"] {
            assert_eq!(bad.parse::<NamespaceName>(), Err(NameError::Character));
        }
        assert!("a b".parse::<NamespaceName>().is_ok());
    }
}
