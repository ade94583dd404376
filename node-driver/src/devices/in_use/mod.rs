//! Who uses a block device. `O_EXCL` alone does not tell: a loop device over a block device, which is how the kubelet holds a raw
//! block volume, and a bind mount of its device node do not keep others from having it for themselves.
//!
//! [`users`] decides, on what [`look()`] read. What neither sees: a program that has the device open without `O_EXCL`, and bind
//! mounts in a mount namespace that is neither ours nor that of process 1.

mod look;
mod users;

use std::path::Path;

use super::error::DeviceError;
use look::look;
use users::{User, users};

/// What the kernel says when somebody has the device for himself, after [`require_unused`] found nobody.
pub(super) const SOMEBODY: User = User::Exclusive;

/// Fails if somebody uses the block device of the namespace `name`, or if that cannot be seen.
pub(super) fn require_unused(name: &str, device: &Path) -> Result<(), DeviceError> {
    let seen = look(device).map_err(|error| DeviceError::Operation {
        action: "see who uses",
        name: name.into(),
        source: error.into(),
    })?;
    let users: Vec<String> = users(&seen).iter().map(ToString::to_string).collect();
    if users.is_empty() {
        return Ok(());
    }
    Err(DeviceError::InUse {
        name: name.into(),
        device: device.display().to_string(),
        by: users.join(", "),
    })
}

#[cfg(test)]
mod tests;
