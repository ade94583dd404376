//! Short names made of long ones.

use sha2::{Digest, Sha256};

/// The first `bytes` bytes of the SHA-256 of `text`, in hexadecimal.
pub fn hex(text: &str, bytes: usize) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digest = Sha256::digest(text);
    let both = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    digest.iter().take(bytes).flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_answer() {
        assert_eq!(super::hex("abc", 6), "ba7816bf8f01");
    }
}
