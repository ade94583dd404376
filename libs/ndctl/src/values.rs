//! From the library's values to ours.

use std::ffi::{CStr, c_char, c_int, c_ulonglong};

use placement::Bytes;
use uuid::Uuid;

use crate::ffi::uuid_t;

/// The text at `pointer`, copied; nothing for null or an empty text.
///
/// Bytes that are not UTF-8 are replaced: the library's texts are names that the kernel made of ASCII, and
/// namespace names, which somebody else may have chosen.
///
/// # Safety
///
/// `pointer` is null, or a string that ends in NUL and that nothing changes during the call.
pub(crate) unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, so the caller promises a string that ends in NUL.
    let text = unsafe { CStr::from_ptr(pointer) }.to_string_lossy();
    (!text.is_empty()).then(|| text.into_owned())
}

/// The bytes of an object that has a size. Nothing reaches 2^63: physical addresses end far below.
pub(crate) fn bytes(n: c_ulonglong) -> Bytes {
    Bytes::try_from(n).unwrap_or(Bytes::MAX)
}

/// The bytes, or nothing for `ULLONG_MAX`, the library's word for "not known".
pub(crate) fn known_bytes(n: c_ulonglong) -> Option<Bytes> {
    (n != c_ulonglong::MAX).then(|| bytes(n))
}

/// The UUID that `read` writes, or nothing if it is all zeros.
pub(crate) fn uuid(read: impl FnOnce(&mut uuid_t)) -> Option<Uuid> {
    let mut bytes = uuid_t::default();
    read(&mut bytes);
    let uuid = Uuid::from_bytes(bytes);
    (!uuid.is_nil()).then_some(uuid)
}

/// A node number, or nothing for the negative ones that say "none".
pub(crate) fn node(n: c_int) -> Option<u32> {
    u32::try_from(n).ok()
}

/// All elements of a list of the library, copied out before anything can change it.
pub(crate) fn collect<'a, T>(first: Option<&'a T>, next: extern "C" fn(&'a T) -> Option<&'a T>) -> Vec<&'a T> {
    std::iter::successors(first, |element| next(element)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_not_a_number() {
        assert_eq!(known_bytes(u64::MAX), None);
        assert_eq!(known_bytes(0), Some(Bytes::ZERO));
        assert_eq!(known_bytes(1 << 30), Some(Bytes::gib(1)));
        assert_eq!(node(-1), None);
        assert_eq!(node(-2), None);
        assert_eq!(node(1), Some(1));
    }

    #[test]
    fn text_is_copied_and_empty_is_none() {
        // SAFETY: literals that end in NUL, and null.
        unsafe {
            assert_eq!(text(c"region0".as_ptr()).as_deref(), Some("region0"));
            assert_eq!(text(c"".as_ptr()), None);
            assert_eq!(text(std::ptr::null()), None);
        }
    }

    #[test]
    fn the_zero_uuid_is_none() {
        assert_eq!(uuid(|_| ()), None);
        let one = Uuid::from_u128(1);
        assert_eq!(uuid(|bytes| *bytes = one.into_bytes()), Some(one));
    }
}
