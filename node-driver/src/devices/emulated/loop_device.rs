//! Loop devices for emulated volumes, by `losetup` of util-linux.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::devices::error::DeviceError;
use crate::devices::in_use::require_unused;

/// `losetup` did not do it.
#[derive(Debug, thiserror::Error)]
enum LosetupError {
    #[error("cannot run losetup: install util-linux")]
    Start(#[source] std::io::Error),
    #[error("losetup said: {0}")]
    Said(String),
}

/// The loop device of `file`: the one that is there already, or a new one.
pub(super) fn attach(name: &str, file: &Path) -> Result<PathBuf, DeviceError> {
    if let Some(there) = attached(name, file)? {
        return Ok(there);
    }
    // 4 KiB sectors, as persistent memory has its pages.
    let made = Command::new("losetup")
        .args(["--find", "--show", "--sector-size", "4096"])
        .arg(file)
        .output();
    said(made).map(PathBuf::from).map_err(failed("attach", name))
}

/// Takes the loop device of `file` away, if there is one and nobody uses it.
pub(super) fn detach(name: &str, file: &Path) -> Result<(), DeviceError> {
    let Some(device) = attached(name, file)? else {
        return Ok(());
    };
    // `losetup --detach` of a busy device succeeds and happens later, so ask first.
    require_unused(name, &device)?;
    let gone = Command::new("losetup").arg("--detach").arg(&device).output();
    said(gone).map(drop).map_err(failed("detach", name))
}

fn attached(name: &str, file: &Path) -> Result<Option<PathBuf>, DeviceError> {
    let list = Command::new("losetup")
        .args(["--noheadings", "--output", "NAME", "--associated"])
        .arg(file)
        .output();
    let list = said(list).map_err(failed("find the loop device of", name))?;
    Ok(list.lines().next().map(PathBuf::from))
}

fn said(output: std::io::Result<std::process::Output>) -> Result<String, LosetupError> {
    let output = output.map_err(LosetupError::Start)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(LosetupError::Said(text(&output.stderr)));
    }
    Ok(text(&output.stdout))
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(LosetupError) -> DeviceError {
    let name = name.to_owned();
    move |error| DeviceError::Operation {
        action,
        name,
        source: error.into(),
    }
}
