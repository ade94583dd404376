//! Changes of devices, also by others, as the kernel announces them (uevents).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Layout;

/// Group of the netlink socket in which the kernel itself speaks (`lib/kobject_uevent.c`).
const KERNEL: u32 = 1;
/// One message of the kernel (`UEVENT_BUFFER_SIZE` in `include/linux/kobject.h`, and its header).
const MESSAGE: usize = 8192;
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

fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
    bind(&socket, &SocketAddrNetlink::new(0, KERNEL))?;
    Ok(socket)
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
    let mut buffer = [0; MESSAGE];
    loop {
        let mut ready = socket.readable().await?;
        let receive = |socket: &AsyncFd<OwnedFd>| Ok(recv(socket, &mut buffer, RecvFlags::empty())?);
        match ready.try_io(receive) {
            Ok(Ok((length, _))) => return Ok(is_about_memory(&buffer[..length])),
            // Events were lost, so anything may have changed.
            Ok(Err(error)) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => return Ok(true),
            Ok(Err(error)) => return Err(error),
            Err(_would_block) => {}
        }
    }
}

/// Whether an event is about regions, namespaces or their block devices.
fn is_about_memory(message: &[u8]) -> bool {
    let mut fields = message.split(|byte| *byte == 0);
    fields.any(|field| field == b"SUBSYSTEM=nd" || field.starts_with(b"DEVNAME=pmem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_about_memory_count() {
        let namespace = b"add@/devices/x/ndbus0/region0/namespace0.1\0ACTION=add\0SUBSYSTEM=nd\0SEQNUM=7\0";
        let block = b"add@/devices/x/block/pmem0\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=pmem0\0";
        let other = b"add@/devices/x/block/sda\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=sda\0";
        assert!(is_about_memory(namespace) && is_about_memory(block));
        assert!(!is_about_memory(other));
    }
}
