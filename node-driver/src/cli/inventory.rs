//! Prints what the driver finds on the devices.

use node_driver::devices::{Devices, Inventory};
use serde::Serialize;

/// The regions as a PmemNode reports them, and every namespace.
#[derive(Serialize)]
struct Printed<'a> {
    backend: &'static str,
    regions: Vec<crds::RegionStatus>,
    namespaces: &'a [node_driver::devices::Namespace],
}

/// Prints regions, free extents and namespaces as JSON. Which namespaces are volumes stands in Kubernetes only, so here all of
/// them count as foreign.
pub fn print(devices: &dyn Devices) -> anyhow::Result<()> {
    let inventory: Inventory = devices.inventory()?;
    let printed = Printed {
        backend: devices.backend(),
        regions: inventory.to_status(|_| false),
        namespaces: &inventory.namespaces,
    };
    println!("{}", serde_json::to_string_pretty(&printed)?);
    Ok(())
}
