//! What the kernel announces of persistent memory, to whoever listens (uevents).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// Group of the netlink socket in which the kernel itself speaks (`lib/kobject_uevent.c`).
const KERNEL: u32 = 1;
/// One message of the kernel (`UEVENT_BUFFER_SIZE` in `include/linux/kobject.h`, and its header).
const MESSAGE: usize = 8192;
/// Bytes of messages that nobody has heard yet: some five hundred.
const ROOM: usize = 1 << 20;
/// Stands for what was announced and lost: more than any one change announces.
const LOST: u64 = 1 << 32;

/// A socket that hears all that the kernel announces from now on. Nobody waits on it.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(KOBJECT_UEVENT))?;
    bind(&socket, &SocketAddrNetlink::new(0, KERNEL))?;
    Ok(socket)
}

/// The same, with room for what a busy node announces while a label is written.
fn listen_to_many() -> io::Result<OwnedFd> {
    let socket = listen()?;
    // Without the right to it there is less room, and more is taken for lost.
    let _less = set_socket_recv_buffer_size_force(&socket, ROOM);
    Ok(socket)
}

/// What the next message is about that was heard.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if there is none, and what the kernel refuses.
pub(crate) fn hear(socket: &OwnedFd) -> io::Result<Heard> {
    let mut buffer = [0; MESSAGE];
    match recv(socket, &mut buffer, RecvFlags::empty()) {
        Ok((length, _)) if is_about_memory(&buffer[..length]) => Ok(Heard::Memory),
        Ok(_) => Ok(Heard::Other),
        Err(Errno::NOBUFS) => Ok(Heard::Lost),
        Err(error) => Err(error.into()),
    }
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Regions, namespaces or their devices.
    Memory,
    /// Anything else.
    Other,
    /// Nobody knows: there were more than could be kept.
    Lost,
}

fn is_about_memory(message: &[u8]) -> bool {
    let mut fields = message.split(|byte| *byte == 0);
    fields.any(|field| matches!(field, b"SUBSYSTEM=nd" | b"SUBSYSTEM=dax") || field.starts_with(b"DEVNAME=pmem"))
}

/// How much was announced of persistent memory, and nothing of what else a busy node announces.
#[derive(Debug, Default)]
pub struct Announced(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    socket: Option<OwnedFd>,
    heard: u64,
}

impl Announced {
    /// The count now. Only the difference of two means something: what was announced between them, or more.
    ///
    /// # Errors
    /// The kernel's announcements cannot be heard.
    pub fn count(&self) -> io::Result<u64> {
        // Socket and count are each replaced whole, so a panic elsewhere leaves nothing half done.
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Count { socket, heard } = &mut *count;
        let socket = match socket {
            Some(socket) => socket,
            None => socket.insert(listen_to_many()?),
        };
        loop {
            match hear(socket) {
                Ok(Heard::Memory) => *heard += 1,
                Ok(Heard::Other) => {}
                Ok(Heard::Lost) => *heard += LOST,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(*heard),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_about_memory_count() {
        let namespace = b"add@/devices/x/ndbus0/region0/namespace0.1\0ACTION=add\0SUBSYSTEM=nd\0SEQNUM=7\0";
        let block = b"add@/devices/x/block/pmem0\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=pmem0\0";
        let dax = b"add@/devices/x/dax0.0\0ACTION=add\0SUBSYSTEM=dax\0DEVNAME=dax0.0\0";
        let other = b"add@/devices/x/block/sda\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=sda\0";
        assert!(is_about_memory(namespace) && is_about_memory(block) && is_about_memory(dax));
        assert!(!is_about_memory(other));
    }

    #[test]
    fn where_nothing_happens_nothing_is_counted() {
        let announced = Announced::default();
        let first = announced.count().unwrap();
        assert_eq!(announced.count().unwrap(), first);
    }
}
