//! A Debian root file system in a folder.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::harness::cache::Key;
use crate::harness::command::run;

/// What the guest has beyond Debian's essential packages.
const PACKAGES: [&str; 21] = [
    "linux-image-amd64",
    "initramfs-tools",
    "busybox-static",
    "ndctl",
    "daxctl",
    "jq",
    "e2fsprogs",
    "xfsprogs",
    "systemd-sysv",
    "udev",
    "kmod",
    "iproute2",
    "iptables",
    "nftables",
    "containernetworking-plugins",
    "runc",
    "procps",
    "conntrack",
    "lvm2",
    "mdadm",
    "bcache-tools",
];

/// An initial RAM disk with these modules only, instead of all that any machine could need, is quick to unpack.
const INITRD_MODULES: &str = "virtio_pci virtio_blk ext4 crc32c_generic";

/// Not unpacked: documentation; what takes seconds in the initial RAM disk to find the one disk that there is; and the loading
/// of DIMM passphrases before libnvdimm, where no DIMM has one.
const EXCLUDED: [&str; 12] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/initramfs-tools/hooks/udev",
    "/usr/share/initramfs-tools/hooks/lvm2",
    "/usr/share/initramfs-tools/hooks/mdadm",
    "/usr/share/initramfs-tools/hooks/dmsetup",
    "/usr/share/initramfs-tools/hooks/bcache",
    "/usr/share/initramfs-tools/scripts/init-*/udev",
    "/usr/share/initramfs-tools/scripts/*/mdadm",
    "/etc/modprobe.d/nvdimm-security.conf",
    "/usr/lib/modprobe.d/nvdimm-security.conf",
];

/// To be raised when [`install`] or what is done with its result changes in a way that no other input shows.
const REVISION: &str = "2";

/// Written before the kernel is installed, which makes the initial RAM disk.
const INITRD_HOOK: &str = r#"mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nRESUME=none\nFSTYPE=ext4\n' > "$1/etc/initramfs-tools/conf.d/daxfit"
printf '%s\n' $DAXFIT_INITRD_MODULES > "$1/etc/initramfs-tools/modules""#;

/// Debian's release for guests on a host of another distribution.
const FALLBACK_SUITE: &str = "bookworm";

/// The Debian release to install: the host's, so that programs built there find their libraries here.
pub(crate) fn suite() -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
    Ok(suite_of(&text).unwrap_or(FALLBACK_SUITE).to_owned())
}

fn suite_of(os_release: &str) -> Option<&str> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    value("ID").filter(|id| *id == "debian")?;
    value("VERSION_CODENAME")
}

/// Everything that [`install`] depends on.
pub(super) fn inputs(suite: &str) -> Key {
    let key = Key::new()
        .with(REVISION)
        .with(suite)
        .with(INITRD_HOOK)
        .with(INITRD_MODULES);
    PACKAGES.iter().chain(&EXCLUDED).fold(key, Key::with)
}

/// Installs Debian into `root`, which must not exist.
pub(super) async fn install(suite: &str, root: &Path) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command
        .env("DAXFIT_INITRD_MODULES", INITRD_MODULES)
        .args([
            "--mode=root",
            "--variant=minbase",
            "--quiet",
            "--aptopt=Acquire::Retries \"5\"",
        ])
        .args(EXCLUDED.map(|path| format!("--dpkgopt=path-exclude={path}")))
        .arg(format!("--essential-hook={INITRD_HOOK}"))
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg(suite)
        .arg(root);
    run(command).await
}

/// Writes one file of ours.
pub(super) fn write(path: &Path, mode: u32, content: &str) -> Result<()> {
    let save = || {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        fs::write(path, content)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    save().with_context(|| format!("writing {}", path.display()))
}

/// Lets systemd start a unit when it starts the system.
pub(super) fn enable(root: &Path, unit: &str) -> Result<()> {
    let wants = root.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).with_context(|| format!("creating {}", wants.display()))?;
    symlink(Path::new("..").join(unit), wants.join(unit)).with_context(|| format!("enabling {unit}"))
}

/// Moves the kernel and its initial RAM disk out of `root`.
pub(super) fn take_kernel(root: &Path, folder: &Path) -> Result<()> {
    for (prefix, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd.img")] {
        let found = only_file(&root.join("boot"), prefix)?;
        fs::rename(&found, folder.join(name)).with_context(|| format!("moving {}", found.display()))?;
    }
    Ok(())
}

fn only_file(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let named = |path: &&PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    let found = paths
        .iter()
        .find(named)
        .with_context(|| format!("no {prefix}* in {}", folder.display()))?;
    Ok(found.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_of_the_hosts_release() {
        assert_eq!(
            suite_of("PRETTY_NAME=\"x\"\nVERSION_CODENAME=trixie\nID=debian\n"),
            Some("trixie")
        );
        assert_eq!(suite_of("ID=fedora\nVERSION_CODENAME=x\n"), None);
    }
}
