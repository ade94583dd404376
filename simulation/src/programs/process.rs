//! A program that is started again whenever it ends.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::api_server::{ApiServer, Link, Network};
use crate::devices::Fuse;
use crate::dice::Dice;

/// One run of a program: what others call of it, and its work.
pub struct Run<S> {
    calls: S,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S> Run<S> {
    /// A run that does `work` and answers `calls`.
    pub fn new(calls: S, work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            calls,
            work: Box::pin(work),
        }
    }
}

/// A program that is started again whenever it ends. Clones are the same one.
#[derive(Clone)]
pub struct Process<S>(Arc<Shared<S>>);

struct Shared<S> {
    name: String,
    /// Its way to the API server.
    network: Network,
    dice: Dice,
    /// The run that answers.
    current: Mutex<Option<(S, Fuse)>>,
    /// Whether it may run.
    allowed: watch::Sender<bool>,
    /// Of runs that have ended.
    effects: AtomicU64,
}

/// The program does not answer: it is not running, or was killed meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the program does not answer")]
pub struct NoAnswer;

/// How long it takes at most until a program is started again.
const RESTART: Duration = Duration::from_secs(3);

impl<S: Clone + Send + Sync + 'static> Process<S> {
    /// A program that runs from now on. Each run has a link of its own.
    pub fn start(
        name: &str,
        server: &ApiServer,
        writer: Option<&str>,
        dice: &Dice,
        run: impl Fn(&Link) -> Run<S> + Send + 'static,
    ) -> Self {
        let process = Self(Arc::new(Shared {
            name: name.into(),
            network: Network::new(dice.clone()),
            dice: dice.clone(),
            current: Mutex::new(None),
            allowed: watch::Sender::new(true),
            effects: AtomicU64::new(0),
        }));
        let (server, writer) = (server.clone(), writer.map(ToOwned::to_owned));
        tokio::spawn(
            process
                .clone()
                .keep_running(move |fuse, network| run(&Link::new(&server, network, fuse, writer.as_deref()))),
        );
        process
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its way to the API server.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// Kills it now.
    pub fn kill(&self) {
        if let Some((_, fuse)) = self.current() {
            fuse.blow();
        }
    }

    /// Kills it right after so many more effects.
    pub fn kill_after(&self, effects: u64) {
        if let Some((_, fuse)) = self.current() {
            fuse.blow_after(effects);
        }
    }

    /// Whether it may run; if not, it is killed.
    pub fn allow(&self, allowed: bool) {
        self.0.allowed.send_replace(allowed);
        if !allowed {
            self.kill();
        }
    }

    /// Effects of the run that is at work.
    #[must_use]
    pub fn effects(&self) -> u64 {
        self.current().map_or(0, |(_, fuse)| fuse.effects())
    }

    /// Effects of all runs.
    #[must_use]
    pub fn all_effects(&self) -> u64 {
        self.0.effects.load(Ordering::Relaxed) + self.effects()
    }

    /// What the run that is at work answers.
    #[must_use]
    pub fn calls(&self) -> Option<S> {
        self.current().map(|(calls, _)| calls)
    }

    /// Calls it. Nothing that a killed run says is heard.
    ///
    /// # Errors
    /// It does not run, or was killed meanwhile.
    pub async fn call<T, F: Future<Output = T> + Send>(&self, call: impl FnOnce(S) -> F + Send) -> Result<T, NoAnswer> {
        let (calls, fuse) = self.current().ok_or(NoAnswer)?;
        tokio::select! {
            biased;
            () = fuse.blown() => Err(NoAnswer),
            answer = call(calls) => if fuse.is_blown() { Err(NoAnswer) } else { Ok(answer) },
        }
    }

    async fn keep_running(self, run: impl Fn(&Fuse, &Network) -> Run<S>) {
        loop {
            let mut allowed = self.0.allowed.subscribe();
            if allowed.wait_for(|allowed| *allowed).await.is_err() {
                return;
            }
            let fuse = Fuse::new();
            let Run { calls, work } = run(&fuse, &self.0.network);
            self.set_current(Some((calls, fuse.clone())));
            let mut work = tokio::spawn(work);
            tokio::select! {
                biased;
                () = fuse.blown() => {}
                _ = &mut work => {}
            }
            fuse.blow();
            self.set_current(None);
            work.abort();
            // Either it ended by itself, or it is dropped now.
            let _ = work.await;
            self.0.effects.fetch_add(fuse.effects(), Ordering::Relaxed);
            sleep(self.0.dice.up_to(RESTART)).await;
        }
    }

    fn current(&self) -> Option<(S, Fuse)> {
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_current(&self, current: Option<(S, Fuse)>) {
        *self.0.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
    }
}
