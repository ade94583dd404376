//! The way between one program and the API server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Kind;
use crate::dice::Dice;

/// How the way is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkState {
    /// Nothing gets through.
    pub is_partitioned: bool,
    /// Watches deliver nothing; requests get through.
    pub is_frozen: bool,
    /// The longest that a request or its answer is under way.
    pub latency: Duration,
    /// The longest that an event of a watch is under way.
    pub lag: Duration,
    /// The longest that an event of one kind of objects is under way, if that is another.
    pub lag_of_kind: Option<(Kind, Duration)>,
    /// Of a thousand requests, so many do not arrive.
    pub requests_lost: u32,
    /// Of a thousand requests, so many are carried out and not answered.
    pub answers_lost: u32,
}

impl NetworkState {
    /// The longest that an event of this kind of objects is under way.
    pub(super) fn lag_of(&self, kind: Kind) -> Duration {
        let of_kind = self.lag_of_kind.filter(|(of, _)| *of == kind);
        of_kind.map_or(self.lag, |(_, lag)| lag)
    }
}

impl Default for NetworkState {
    fn default() -> Self {
        Self {
            is_partitioned: false,
            is_frozen: false,
            latency: Duration::from_millis(2),
            lag: Duration::from_millis(5),
            lag_of_kind: None,
            requests_lost: 0,
            answers_lost: 0,
        }
    }
}

/// The way between one program and the API server. Clones are the same way.
#[derive(Clone, Debug)]
pub struct Network {
    state: Arc<watch::Sender<NetworkState>>,
    pub(super) dice: Dice,
}

impl Network {
    /// A way that works.
    #[must_use]
    pub fn new(dice: Dice) -> Self {
        Self {
            state: Arc::new(watch::Sender::new(NetworkState::default())),
            dice,
        }
    }

    /// How it is now.
    #[must_use]
    pub fn state(&self) -> NetworkState {
        *self.state.borrow()
    }

    /// Makes it better or worse.
    pub fn change(&self, change: impl FnOnce(&mut NetworkState)) {
        self.state.send_modify(change);
    }

    /// Waits while watches deliver nothing.
    pub(super) async fn delivers(&self) {
        let mut state = self.state.subscribe();
        // The sender is in `self`.
        let _ = state.wait_for(|state| !state.is_partitioned && !state.is_frozen).await;
    }
}
