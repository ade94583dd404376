//! Shows what the driver sees.

use node_driver::devices::{Devices, Inventory};
use serde::Serialize;

/// What is printed: the regions as a PmemNode shows them, and every namespace.
#[derive(Serialize)]
struct Shown<'a> {
    backend: &'static str,
    regions: Vec<crds::RegionStatus>,
    namespaces: &'a [node_driver::devices::Namespace],
}

/// Prints regions, free extents and namespaces as JSON. Without Kubernetes, nobody knows which namespaces are volumes, so
/// all of them count as foreign.
pub fn print(devices: &dyn Devices) -> anyhow::Result<()> {
    let inventory: Inventory = devices.inventory()?;
    let shown = Shown {
        backend: devices.backend(),
        regions: inventory.to_status(|_| false),
        namespaces: &inventory.namespaces,
    };
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}
