//! What a node costs: how long a volume takes to be staged while much else goes on, and the memory of the driver.

mod memory;
mod stage;

use anyhow::Result;

use super::figure::Figure;

/// Measures on a machine with emulated persistent memory, and then in a cluster of hollow nodes.
pub(super) async fn measure() -> Result<Vec<Figure>> {
    let mut figures = stage::measure().await?;
    figures.extend(memory::measure().await?);
    Ok(figures)
}
