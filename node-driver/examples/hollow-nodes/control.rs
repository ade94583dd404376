//! Orders to change the devices behind the driver's back, as a person with ndctl would, and to kill the driver of a node.
//!
//! One JSON object for each order on a line of the socket, and one for each response: the time at which it was carried out,
//! or the error. A killed driver leaves everything as it is, as after SIGKILL. The driver hears of the change as on real hardware: by an event in the group where the kernel announces
//! changes of devices. All nodes of the process receive it, where on hardware only the one would.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use node_driver::devices::Emulated;
use placement::{Bytes, RegionId};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sendto, socket_with};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::recorded::unix_nanoseconds;

/// Group of the netlink socket for the kernel's own events (`lib/kobject_uevent.c`).
const KERNEL: u32 = 1;
/// The kernel's event when a namespace comes or goes, as far as the driver reads it.
const CHANGE: &[u8] = b"change@/devices/hollow/ndbus0/region0\0ACTION=change\0SUBSYSTEM=nd\0";

/// A node.
pub struct HollowNode {
    /// Its devices.
    pub devices: Arc<Emulated>,
    /// Whether its driver runs.
    pub runs: watch::Sender<bool>,
}

/// The nodes, by name.
pub type Nodes = BTreeMap<String, HollowNode>;

/// An order.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Order {
    /// Make a namespace.
    Create {
        node: String,
        name: String,
        region: RegionId,
        footprint: Bytes,
    },
    /// Destroy it.
    Destroy { node: String, name: String },
    /// Kill the driver of a node, or start it again.
    Drive { node: String, runs: bool },
}

/// Carries out the orders that come on the socket, if there is one, until the process ends.
pub async fn serve(socket: Option<&Path>, nodes: &Nodes) -> anyhow::Result<()> {
    let Some(socket) = socket else {
        return std::future::pending().await;
    };
    let listener = UnixListener::bind(socket)?;
    loop {
        let (connection, _) = listener.accept().await?;
        serve_connection(connection, nodes).await?;
    }
}

async fn serve_connection(mut connection: UnixStream, nodes: &Nodes) -> anyhow::Result<()> {
    let (orders, mut responses) = connection.split();
    let mut orders = BufReader::new(orders).lines();
    while let Some(line) = orders.next_line().await? {
        let response = match carry_out(&line, nodes).await {
            Ok(at) => json!({ "at": at }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        responses.write_all(format!("{response}\n").as_bytes()).await?;
    }
    Ok(())
}

async fn carry_out(line: &str, nodes: &Nodes) -> anyhow::Result<Value> {
    let order: Order = serde_json::from_str(line)?;
    let node = match &order {
        Order::Create { node, .. } | Order::Destroy { node, .. } | Order::Drive { node, .. } => node,
    };
    let node = nodes
        .get(node)
        .ok_or_else(|| anyhow::anyhow!("there is no node {node}"))?;
    if let Order::Drive { runs, .. } = order {
        node.runs.send_replace(runs);
        return Ok(serde_json::to_value(now()?)?);
    }
    let devices = Arc::clone(&node.devices);
    let at = tokio::task::spawn_blocking(move || change(&devices, order)).await??;
    Ok(serde_json::to_value(at)?)
}

/// Returns the time at which the device was changed.
fn change(devices: &Emulated, order: Order) -> anyhow::Result<u64> {
    match order {
        Order::Create {
            name,
            region,
            footprint,
            ..
        } => devices.create_foreign(&name, &region, footprint)?,
        Order::Destroy { name, .. } => devices.destroy_foreign(&name)?,
        Order::Drive { .. } => {}
    }
    let at = now()?;
    announce()?;
    Ok(at)
}

fn now() -> anyhow::Result<u64> {
    Ok(u64::try_from(unix_nanoseconds())?)
}

/// Sends the kernel's event for a change. Needs root, and should not be done outside a network namespace of one's own.
fn announce() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(KOBJECT_UEVENT),
    )?;
    sendto(&socket, CHANGE, SendFlags::empty(), &SocketAddrNetlink::new(0, KERNEL))?;
    Ok(())
}
