//! One look at a time, whose answer all share who wait for it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Looks at something that changes: one at a time, in the order in which they began.
///
/// A look answers whoever asked before it began, and nobody else: one that was under way may show what was before the question.
#[derive(Debug)]
pub(super) struct Looks<T> {
    /// How many began.
    begun: AtomicU64,
    /// Locked while one is under way. The last one that ended.
    last: Mutex<Option<Look<T>>>,
}

#[derive(Debug)]
struct Look<T> {
    number: u64,
    answer: T,
}

impl<T> Default for Looks<T> {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            last: Mutex::default(),
        }
    }
}

impl<T: Clone> Looks<T> {
    /// What a look shows that begins from now on: this one, unless another is next. One that is dropped half-way answers nobody.
    pub(super) async fn answer(&self, look: impl AsyncFnOnce() -> T) -> T {
        let earlier = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some(look) = last.as_ref().filter(|look| look.number > earlier) {
            return look.answer.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = look().await;
        *last = Some(Look {
            number,
            answer: answer.clone(),
        });
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;
    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    /// Something that is looked at: the number of the look that shows it. A look ends when it may.
    struct Seen {
        looks: Looks<u64>,
        count: AtomicU64,
        may_end: Semaphore,
    }

    impl Seen {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                looks: Looks::default(),
                count: AtomicU64::new(0),
                may_end: Semaphore::new(0),
            })
        }

        async fn ask(&self) -> u64 {
            let look = async || {
                let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
                self.may_end.acquire().await.unwrap().forget();
                number
            };
            self.looks.answer(look).await
        }
    }

    /// So many who ask, one after the other.
    async fn askers(seen: &Arc<Seen>, count: usize) -> Vec<JoinHandle<u64>> {
        let ask = |_| {
            let seen = Arc::clone(seen);
            tokio::spawn(async move { seen.ask().await })
        };
        let asked = (0..count).map(ask).collect();
        yield_now().await;
        asked
    }

    async fn answers(asked: Vec<JoinHandle<u64>>) -> Vec<u64> {
        let mut answers = Vec::new();
        for answer in asked {
            answers.push(answer.await.unwrap());
        }
        answers
    }

    #[tokio::test]
    async fn all_who_ask_during_a_look_share_the_next() {
        let seen = Seen::new();
        let first = askers(&seen, 1).await;
        let others = askers(&seen, 300).await;
        seen.may_end.add_permits(2);
        assert_eq!(answers(first).await, [1]);
        assert_eq!(answers(others).await, vec![2; 300]);
        assert_eq!(seen.count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn who_asks_later_gets_a_later_look() {
        let seen = Seen::new();
        seen.may_end.add_permits(2);
        assert_eq!(seen.ask().await, 1);
        assert_eq!(seen.ask().await, 2);
    }

    /// As a task that is stopped, or a run of the driver that is killed in a simulation.
    #[tokio::test]
    async fn a_look_that_is_given_up_keeps_nobody_waiting() {
        let seen = Seen::new();
        let given_up = askers(&seen, 1).await.remove(0);
        let others = askers(&seen, 2).await;
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        seen.may_end.add_permits(1);
        assert_eq!(answers(others).await, [2, 2]);
    }
}
