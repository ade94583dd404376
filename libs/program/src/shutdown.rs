//! How a program ends.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a program may take to finish what it began: the kubelet kills it 30 s after SIGTERM
/// (`terminationGracePeriodSeconds`), without a word in its log.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(25);

/// A token that the first SIGTERM (from the kubelet) or SIGINT (from a person) cancels. All parts of a program end by it.
///
/// From then on the process ends by itself, whatever its parts do: at a second signal at once, with the status that a
/// shell gives a process that the signal killed (128 and its number), and after `limit` with status 1.
///
/// # Errors
/// The kernel does not let this process receive signals: it cannot end in order, so it should not begin.
pub fn stop_on_signal(limit: Duration) -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let signals = stream::select(each(SignalKind::terminate())?, each(SignalKind::interrupt())?);
    let stopping = stop.clone();
    tokio::spawn(async move {
        let status = forced_end(signals, limit, &stopping).await;
        std::process::exit(status);
    });
    Ok(stop)
}

/// Every arrival of one signal.
fn each(kind: SignalKind) -> io::Result<impl Stream<Item = SignalKind>> {
    let arrivals = signal(kind)?;
    Ok(stream::unfold(arrivals, move |mut arrivals| async move {
        arrivals.recv().await?;
        Some((kind, arrivals))
    }))
}

/// Cancels `stop` at the first signal, and returns the status to end with when the program did not end by itself.
async fn forced_end(signals: impl Stream<Item = SignalKind>, limit: Duration, stop: &CancellationToken) -> i32 {
    let mut signals = pin!(signals.chain(stream::once(pending())));
    signals.next().await;
    tracing::info!("stopping");
    stop.cancel();
    let Ok(second) = timeout(limit, signals.next()).await else {
        tracing::error!("not stopped within {} s: ending with work unfinished", limit.as_secs());
        return 1;
    };
    tracing::error!("a second signal: ending at once, with work unfinished");
    second.map_or(1, |signal| 128 + signal.as_raw_value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, sleep};

    const LIMIT: Duration = Duration::from_secs(25);

    /// Signals that arrive so many seconds after the start.
    fn arriving(signals: &[(u64, SignalKind)]) -> impl Stream<Item = SignalKind> + use<> {
        let start = Instant::now();
        stream::iter(signals.to_vec()).then(move |(after, signal)| async move {
            tokio::time::sleep_until(start + Duration::from_secs(after)).await;
            signal
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_stops_and_the_second_ends() {
        let (stop, start) = (CancellationToken::new(), Instant::now());
        let signals = arriving(&[(1, SignalKind::terminate()), (3, SignalKind::interrupt())]);
        let stopped = async {
            stop.cancelled().await;
            start.elapsed()
        };
        let (status, stopped) = tokio::join!(forced_end(signals, LIMIT, &stop), stopped);
        assert_eq!((status, stopped), (130, Duration::from_secs(1)));
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_ended_after_the_limit() {
        let (stop, start) = (CancellationToken::new(), Instant::now());
        let status = forced_end(arriving(&[(0, SignalKind::terminate())]), LIMIT, &stop).await;
        assert_eq!((status, start.elapsed()), (1, LIMIT));
        assert!(stop.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_ends_without_a_signal() {
        let stop = CancellationToken::new();
        tokio::select! {
            status = forced_end(stream::empty(), LIMIT, &stop) => panic!("ended with {status}"),
            () = sleep(Duration::from_secs(1_000_000)) => assert!(!stop.is_cancelled()),
        }
    }
}
