//! What a person sees while the harness works. It goes to standard error: standard output has the results and nothing else.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Prints what begins and how long it took.
pub(crate) async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    eprintln!("  {what} …");
    let begun = Instant::now();
    let result = work.await;
    let end = if result.is_ok() { "done in" } else { "FAILED after" };
    eprintln!("  {what}: {end} {}", human(begun.elapsed()));
    result
}

/// A duration as people say it: `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn human(time: Duration) -> String {
    match time.as_secs() {
        0..=9 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..=59 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(human(Duration::from_millis(420)), "0.4 s");
        assert_eq!(human(Duration::from_secs(59)), "59 s");
        assert_eq!(human(Duration::from_secs(185)), "3 min 05 s");
    }
}
