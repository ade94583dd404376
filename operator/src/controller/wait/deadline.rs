//! How long a call may take.

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// The time limit of a call without the header `grpc-timeout`. CSI leaves it open; external-provisioner always sends one.
const DEFAULT: Duration = Duration::from_secs(60);

/// How long a call may take so that its answer reaches the caller in time: what the caller's `grpc-timeout` says, less a
/// tenth of it and at most half a second.
pub fn time_limit(metadata: &MetadataMap) -> Duration {
    let text = metadata.get("grpc-timeout").and_then(|value| value.to_str().ok());
    let timeout = text.and_then(parse).unwrap_or(DEFAULT);
    timeout.saturating_sub((timeout / 10).min(Duration::from_millis(500)))
}

/// "PROTOCOL-HTTP2.md" of gRPC: at most 8 digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        "M" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_before_the_caller_gives_up() {
        let mut metadata = MetadataMap::new();
        assert_eq!(time_limit(&metadata), Duration::from_millis(59_500));
        for (text, expected) in [("10S", 9_500), ("1000m", 900), ("1M", 59_500), ("nonsense", 59_500)] {
            metadata.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(time_limit(&metadata), Duration::from_millis(expected), "{text}");
        }
    }
}
