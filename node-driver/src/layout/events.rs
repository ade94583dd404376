//! Changes of devices, also by others, as the kernel announces them (uevents).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Layout;
use crate::devices::{Heard, hear, listen};

/// One change makes several events; the listing waits for the rest of them.
const SETTLE: Duration = Duration::from_millis(30);
/// How often devices are listed although no event came.
const WITHOUT_EVENT: Duration = Duration::from_secs(60);
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// The kernel's device events cannot be received.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen to the kernel's device events")]
pub struct EventsError(#[from] io::Error);

/// Where changes of persistent memory are announced.
pub trait Announcements: Send {
    /// Returns after a change, when the announcements that belong to it have arrived.
    ///
    /// # Errors
    /// None can be received any more.
    fn next(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// The kernel's announcements.
pub struct Uevents(AsyncFd<OwnedFd>);

impl Uevents {
    /// Listens from now on.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn listen() -> Result<Self, EventsError> {
        #[expect(
            deprecated,
            reason = "sound for an OwnedFd, which nobody else can close; what replaces it is unsafe"
        )]
        let socket = AsyncFd::new(listen()?)?;
        Ok(Self(socket))
    }
}

impl Announcements for Uevents {
    async fn next(&mut self) -> io::Result<()> {
        next_change(&self.0).await
    }
}

/// Lists the devices whenever a change is announced, and once a minute, until `stop`. A listing that fails is repeated.
///
/// # Errors
/// Nothing can be announced any more: the driver should end, since it would notice changes late.
pub async fn watch_devices(
    layout: &Layout,
    mut announcements: impl Announcements,
    stop: &CancellationToken,
) -> Result<(), EventsError> {
    while !stop.is_cancelled() {
        let failed = layout.list().await.is_err();
        let pause = if failed { AFTER_ERROR } else { WITHOUT_EVENT };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = sleep(pause) => {}
            received = announcements.next() => received?,
        }
    }
    Ok(())
}

/// Returns when something changed and the events that belong to it have arrived.
async fn next_change(socket: &AsyncFd<OwnedFd>) -> io::Result<()> {
    while !is_change(socket).await? {}
    let over = Instant::now() + SETTLE;
    loop {
        tokio::select! {
            () = sleep_until(over) => return Ok(()),
            more = is_change(socket) => { more?; }
        }
    }
}

async fn is_change(socket: &AsyncFd<OwnedFd>) -> io::Result<bool> {
    loop {
        let mut ready = socket.readable().await?;
        match ready.try_io(|socket| hear(socket.get_ref())) {
            // Where events were lost, anything may have changed.
            Ok(heard) => return Ok(matches!(heard?, Heard::Memory | Heard::Lost)),
            Err(_would_block) => {}
        }
    }
}
