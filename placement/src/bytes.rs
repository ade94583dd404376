//! An exact number of bytes.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

/// An exact, non-negative number of bytes.
///
/// On the wire it is a plain integer, never rounded to MiB or GiB. It wraps an `i64` because that is what CSI and
/// Kubernetes quantities carry. Arithmetic saturates at zero and at [`Bytes::MAX`]; no region comes near the latter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Bytes(i64);

/// The number cannot be a number of bytes: it is negative or larger than `i64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a number of bytes: it has to be between 0 and 9223372036854775807")]
pub struct NotAByteCount(i128);

impl Bytes {
    /// No bytes at all.
    pub const ZERO: Self = Self(0);
    /// The largest number of bytes that CSI can express.
    pub const MAX: Self = Self(i64::MAX);

    /// `n` bytes.
    #[must_use]
    pub const fn new(n: u32) -> Self {
        Self(n as i64)
    }

    /// `n` KiB.
    #[must_use]
    pub const fn kib(n: u32) -> Self {
        Self((n as i64) << 10)
    }

    /// `n` MiB.
    #[must_use]
    pub const fn mib(n: u32) -> Self {
        Self((n as i64) << 20)
    }

    /// `n` GiB.
    #[must_use]
    pub const fn gib(n: u32) -> Self {
        Self((n as i64) << 30)
    }

    /// The number itself, never negative.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The number as kernel interfaces take it.
    #[must_use]
    pub const fn get_u64(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, at most [`Bytes::MAX`].
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        if self.0 > other.0 {
            Self(self.0 - other.0)
        } else {
            Self::ZERO
        }
    }

    /// `n` times as much, between zero and [`Bytes::MAX`].
    #[must_use]
    pub const fn times(self, n: i64) -> Self {
        let product = self.0.saturating_mul(n);
        if product < 0 { Self::ZERO } else { Self(product) }
    }

    /// How many whole `step`s are in it; none if `step` is zero.
    #[must_use]
    pub const fn divided_by(self, step: Self) -> i64 {
        if step.0 == 0 { 0 } else { self.0 / step.0 }
    }

    /// The largest multiple of `step` that is not above. A `step` of zero changes nothing.
    #[must_use]
    pub const fn round_down(self, step: Self) -> Self {
        if step.0 == 0 {
            self
        } else {
            Self(self.0 - self.0 % step.0)
        }
    }

    /// The smallest multiple of `step` that is not below, or the largest one there is. A `step` of zero changes nothing.
    #[must_use]
    pub const fn round_up(self, step: Self) -> Self {
        let down = self.round_down(step);
        if down.0 == self.0 {
            return self;
        }
        match down.0.checked_add(step.0) {
            Some(up) => Self(up),
            None => down,
        }
    }

    /// Whether it is a multiple of `step`; everything is a multiple of zero here.
    #[must_use]
    pub const fn is_multiple_of(self, step: Self) -> bool {
        step.0 == 0 || self.0 % step.0 == 0
    }
}

impl TryFrom<i64> for Bytes {
    type Error = NotAByteCount;

    fn try_from(n: i64) -> Result<Self, NotAByteCount> {
        if n < 0 {
            Err(NotAByteCount(n.into()))
        } else {
            Ok(Self(n))
        }
    }
}

impl TryFrom<u64> for Bytes {
    type Error = NotAByteCount;

    fn try_from(n: u64) -> Result<Self, NotAByteCount> {
        i64::try_from(n).map(Self).map_err(|_| NotAByteCount(n.into()))
    }
}

impl From<Bytes> for i64 {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Self::plus)
    }
}

/// Exact: the largest binary unit that divides the number, else plain bytes ("28 MiB", "100000000 B").
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        let exact = units
            .iter()
            .find(|(shift, _)| self.0 > 0 && self.0.trailing_zeros() >= *shift);
        match exact {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} B", self.0),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "format": "int64", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_exact_numbers() {
        assert_eq!(Bytes::mib(28).to_string(), "28 MiB");
        assert_eq!(Bytes::try_from(100_000_000_i64).unwrap().to_string(), "100000000 B");
        assert_eq!(Bytes::ZERO.to_string(), "0 B");
        assert_eq!(Bytes::gib(1024).to_string(), "1 TiB");
    }

    #[test]
    fn refuses_what_is_not_a_byte_count() {
        assert!(Bytes::try_from(-1_i64).is_err());
        assert!(Bytes::try_from(u64::MAX).is_err());
        assert!(serde_json::from_str::<Bytes>("-5").is_err());
        assert_eq!(serde_json::to_string(&Bytes::mib(1)).unwrap(), "1048576");
    }

    #[test]
    fn rounds() {
        let step = Bytes::mib(2);
        assert_eq!(Bytes::mib(3).round_up(step), Bytes::mib(4));
        assert_eq!(Bytes::mib(4).round_up(step), Bytes::mib(4));
        assert_eq!(Bytes::mib(3).round_down(step), Bytes::mib(2));
        assert_eq!(Bytes::MAX.round_up(step), Bytes::MAX.round_down(step));
    }
}
