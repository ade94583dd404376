//! How one run of a program ends: killed, after any effect.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// One run of a program: blown when it is killed. Effects count down; at zero it is blown. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Fuse(Arc<Inner>);

/// The run was killed, so that it learns of nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("killed")]
pub struct Blown;

#[derive(Debug, Default)]
struct Inner {
    counts: Mutex<Counts>,
    blown: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    effects: u64,
    left: Option<u64>,
}

impl Fuse {
    /// Of a run that nobody kills.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Kills the run with the effect of that number from now on; at once if it is zero.
    pub fn blow_after(&self, effects: u64) {
        self.0.change(|counts| counts.left = Some(effects));
    }

    /// Kills the run now.
    pub fn blow(&self) {
        self.blow_after(0);
    }

    /// Whether the run was killed.
    #[must_use]
    pub fn is_blown(&self) -> bool {
        self.0.change(|counts| counts.left == Some(0))
    }

    /// Returns when the run was killed.
    pub async fn blown(&self) {
        loop {
            let notified = self.0.blown.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.is_blown() {
                return;
            }
            notified.await;
        }
    }

    /// Lets an effect happen, if the run was not killed before. It may be killed with it.
    ///
    /// # Errors
    /// The run was killed: with this effect, which happened all the same, or earlier, and nothing happened.
    pub fn effect<T>(&self, f: impl FnOnce() -> T) -> Result<T, Blown> {
        self.check()?;
        let done = f();
        self.0.change(|counts| {
            counts.effects += 1;
            counts.left = counts.left.map(|left| left.saturating_sub(1));
        });
        self.check().map(|()| done)
    }

    /// For what only looks at something.
    ///
    /// # Errors
    /// The run was killed.
    pub fn check(&self) -> Result<(), Blown> {
        if self.is_blown() { Err(Blown) } else { Ok(()) }
    }

    /// How many effects happened.
    #[must_use]
    pub fn effects(&self) -> u64 {
        self.0.change(|counts| counts.effects)
    }
}

impl Inner {
    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        // Numbers are replaced whole, so a panic elsewhere leaves nothing half done.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = counts.left;
        let changed = change(&mut counts);
        if counts.left == Some(0) && before != Some(0) {
            self.blown.notify_waiters();
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blows_with_the_effect_of_its_number() {
        let fuse = Fuse::new();
        fuse.blow_after(2);
        let mut happened = 0;
        assert_eq!(fuse.effect(|| happened += 1), Ok(()));
        assert_eq!(fuse.effect(|| happened += 1), Err(Blown));
        assert_eq!(fuse.effect(|| happened += 1), Err(Blown));
        assert_eq!((happened, fuse.effects(), fuse.is_blown()), (2, 2, true));
    }

    #[tokio::test]
    async fn who_waits_hears_of_it() {
        let fuse = Fuse::new();
        let waiting = tokio::spawn({
            let fuse = fuse.clone();
            async move { fuse.blown().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        fuse.blow();
        waiting.await.unwrap();
        fuse.blown().await;
        assert_eq!(fuse.effect(|| ()), Err(Blown));
        assert_eq!(fuse.effects(), 0);
    }
}
