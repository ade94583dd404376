//! The machines of one run.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use placement::Bytes;

use super::TestVm;
use crate::harness::cache;
use crate::harness::guest::{Guest, pack};
use crate::harness::programs::{self, Program};
use crate::harness::run_dir::RunDir;
use crate::harness::vm::{Disk, Machine};

/// What all machines of a run share.
#[derive(Debug)]
pub(crate) struct Machines {
    guest: Guest,
    run: RunDir,
    /// The programs that they find in `/mnt/files`.
    files: Disk,
    started: AtomicUsize,
}

impl Machines {
    /// Builds these programs, which the machines find in `/mnt/files`.
    pub(crate) async fn with(programs: &[Program]) -> Result<Self> {
        let guest = Guest::ready().await?;
        let run = RunDir::create(&cache::folder()?.join("runs"))?;
        let image = run.path().join("files.img");
        let content = run.folder("files")?;
        programs::build_into(&content, programs).await?;
        pack(&content, &image, Bytes::ZERO).await?;
        let files = Disk {
            name: "files".to_owned(),
            image,
            scratch: false,
        };
        Ok(Self {
            guest,
            run,
            files,
            started: AtomicUsize::new(0),
        })
    }

    /// A machine with new DIMMs.
    pub(crate) async fn start(&self, mut machine: Machine) -> Result<TestVm> {
        let number = 1 + self.started.fetch_add(1, Ordering::Relaxed);
        machine.disks.push(self.files.clone());
        // A short path: it becomes that of a socket, which has at most 107 bytes.
        let folder = self.run.folder(&format!("vm{number}"))?;
        TestVm::start(&self.guest, machine, folder, number).await
    }
}
