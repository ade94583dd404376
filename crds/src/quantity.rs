//! Kubernetes quantities as exact bytes.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use placement::Bytes;

/// The text is not a quantity, or not one of bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a number of bytes: it has to be a Kubernetes quantity between 0 and 9223372036854775807, such as 29360128 or 28Mi"
)]
pub struct NotAQuantity(pub String);

/// The number of bytes that a quantity stands for; a fraction of a byte counts as a whole one, as in `Quantity.Value()`
/// of apimachinery, which the external-provisioner uses.
///
/// # Errors
/// If it is not a quantity, negative, or more than `i64::MAX`.
pub fn bytes_of_quantity(quantity: &Quantity) -> Result<Bytes, NotAQuantity> {
    let parsed = parse(quantity.0.trim()).and_then(|value| i64::try_from(value).ok());
    parsed
        .and_then(|value| Bytes::try_from(value).ok())
        .ok_or_else(|| NotAQuantity(quantity.0.clone()))
}

/// The quantity that stands for exactly these bytes.
#[must_use]
pub fn quantity_of_bytes(bytes: Bytes) -> Quantity {
    Quantity(bytes.get().to_string())
}

fn parse(text: &str) -> Option<i128> {
    let number_end = text
        .find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(number_end);
    let (multiplier, divisor) = scale(suffix)?;
    let (digits, decimals) = digits(number)?;
    let numerator = digits.checked_mul(multiplier)?;
    let denominator = 10_i128.checked_pow(decimals)?.checked_mul(divisor)?;
    let whole = numerator.div_euclid(denominator);
    Some(if numerator.rem_euclid(denominator) == 0 {
        whole
    } else {
        whole + 1
    })
}

/// All digits as one number, and how many of them stand behind the point.
fn digits(number: &str) -> Option<(i128, u32)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let decimals = u32::try_from(fraction.len()).ok()?;
    Some((format!("{whole}{fraction}").parse().ok()?, decimals))
}

/// What a suffix multiplies and divides by.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let binary = |power: u32| Some((1_i128 << (10 * power), 1));
    let decimal = |power: u32| Some((10_i128.pow(3 * power), 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1_000)),
        "k" => decimal(1),
        "M" => decimal(2),
        "G" => decimal(3),
        "T" => decimal(4),
        "P" => decimal(5),
        "E" => decimal(6),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let scale = 10_i128.checked_pow(power.unsigned_abs())?;
    Some(if power < 0 { (1, scale) } else { (scale, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Option<i64> {
        bytes_of_quantity(&Quantity(text.into())).ok().map(Bytes::get)
    }

    #[test]
    fn reads_what_kubernetes_writes() {
        for (text, expected) in [
            ("29360128", 29_360_128),
            ("28Mi", 29_360_128),
            ("100M", 100_000_000),
            ("0.5Gi", 536_870_912),
            ("1e8", 100_000_000),
            ("1E3", 1000),
            ("2E", 2_000_000_000_000_000_000),
            ("1500m", 2),
            ("12e-1", 2),
            ("0", 0),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_number_of_bytes() {
        for text in [
            "",
            "Mi",
            "-1",
            "1Mib",
            "1 Mi",
            "9223372036854775808",
            "8Ei",
            "1e400",
            ".",
            "1.2.3",
        ] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn writes_exact_bytes() {
        assert_eq!(quantity_of_bytes(Bytes::mib(28)), Quantity("29360128".into()));
    }
}
