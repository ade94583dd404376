//! Small base images, made of Debian packages without a registry.
//!
//! The packages are only unpacked: no image of ours needs what their scripts set up, nor apt and dpkg.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::process::Command;

use crate::harness::cache::{Key, cached};
use crate::harness::command::run;
use crate::harness::guest;
use crate::harness::progress::step;

/// A base image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The C library and libgcc: 5 MB.
    Library,
    /// With libndctl and the tools of the file systems: 32 MB.
    FileSystems,
}

/// Never read by a program.
const USELESS: [&str; 8] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/bug/*",
    "/usr/share/lintian/*",
    "/usr/share/bash-completion/*",
    "/usr/share/zoneinfo/*",
    "/usr/lib/*-linux-gnu*/gconv/*",
];

/// Large, and only for `xfs_scrub`, which checks mounted file systems by timer.
const OF_XFS_SCRUB: [&str; 13] = [
    "/usr/bin/python3*",
    "/usr/lib/python3*",
    "/usr/share/python3*",
    "/usr/lib/*-linux-gnu*/libpython*",
    "/usr/lib/*-linux-gnu*/libicu*",
    "/usr/lib/*-linux-gnu*/libstdc++*",
    "/usr/lib/*-linux-gnu*/libsqlite3*",
    "/usr/lib/*-linux-gnu*/libdb-5*",
    "/usr/lib/*-linux-gnu*/libkrb5*",
    "/usr/lib/*-linux-gnu*/libgssapi*",
    "/usr/lib/*-linux-gnu*/perl*",
    "/usr/share/perl*",
    "/usr/lib/mime/*",
];

/// Gives `/bin` and `/lib` their paths in `/usr`, as every current Debian has them.
const MERGED_USR: &str = "/usr/share/mmdebstrap/hooks/merged-usr";

impl Base {
    /// A tar archive of its root, made now unless cached.
    pub(super) async fn ready(self) -> Result<PathBuf> {
        let suite = guest::suite()?;
        let (name, key) = (self.name(), self.key(&suite));
        let entry = cached(name, &key, async |folder| {
            step(&format!("making the base image {name}"), self.make(&suite, folder)).await
        });
        Ok(entry.await?.join("root.tar"))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Library => "base-library",
            Self::FileSystems => "base-file-systems",
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Library => &["libc6", "libgcc-s1"],
            Self::FileSystems => &[
                "dash",
                "libgcc-s1",
                "libndctl6",
                "e2fsprogs",
                "xfsprogs",
                "util-linux",
                "mount",
            ],
        }
    }

    fn left_out(self) -> impl Iterator<Item = &'static str> {
        let more: &[&str] = match self {
            Self::Library => &[],
            Self::FileSystems => &OF_XFS_SCRUB,
        };
        USELESS.iter().chain(more).copied()
    }

    fn key(self, suite: &str) -> Key {
        let words = self.packages().iter().copied().chain(self.left_out());
        words.fold(Key::new().with(suite), Key::with)
    }

    async fn make(self, suite: &str, folder: &Path) -> Result<()> {
        let mut command = Command::new("mmdebstrap");
        command
            .args([
                "--mode=root",
                "--variant=extract",
                "--quiet",
                "--aptopt=Acquire::Retries \"5\"",
            ])
            .arg(format!("--hook-dir={MERGED_USR}"))
            .arg(format!("--include={}", self.packages().join(",")))
            .args(
                self.left_out()
                    .map(|pattern| format!("--dpkgopt=path-exclude={pattern}")),
            )
            .arg(suite)
            .arg(folder.join("root.tar"));
        run(command).await
    }
}
