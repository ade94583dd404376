//! Sockets in the network of a sandbox, for a server in this process.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::harness::sandbox::Sandbox;

/// A listener on an address of the sandbox. A socket belongs to the network that the thread was in that made it, so a thread
/// of its own goes there for that, and ends.
pub(crate) fn inside(sandbox: &Sandbox, address: SocketAddr) -> Result<TcpListener> {
    let network = sandbox.network();
    let listening = thread::spawn(move || listen(&network, address)).join();
    let listener = listening.map_err(|_| anyhow!("the thread that listens has died"))?;
    listener.with_context(|| format!("listening on {address} in the sandbox"))
}

fn listen(network: &Path, address: SocketAddr) -> Result<TcpListener> {
    let network = File::open(network)?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
