//! File system images made without mounting anything.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use placement::Bytes;
use tokio::process::Command;

use crate::harness::command::run;

/// Makes an ext4 image with the content of a folder and `room` for more, to be given to a machine as a disk.
pub(crate) async fn pack(folder: &Path, image: &Path, room: Bytes) -> Result<()> {
    let content = content_size(folder)?;
    // The file system's own tables take a few percent.
    let tables = Bytes::try_from(content.plus(room).get_u64() / 16).context("too large for a disk")?;
    format(folder, image, content.plus(tables).plus(Bytes::mib(16)).plus(room)).await
}

/// Makes an ext4 image of a given size with the content of a folder.
pub(super) async fn format(folder: &Path, image: &Path, size: Bytes) -> Result<()> {
    let file = File::create(image).with_context(|| format!("creating {}", image.display()))?;
    file.set_len(size.get_u64())
        .with_context(|| format!("sizing {}", image.display()))?;
    let mut command = Command::new("mke2fs");
    command
        .args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-i", "8192"])
        .args(["-E", "root_owner=0:0,lazy_itable_init=1", "-d"])
        .arg(folder)
        .arg(image);
    run(command).await
}

/// What the files take in blocks of 4 KiB, one for each entry included.
fn content_size(folder: &Path) -> Result<Bytes> {
    let block = Bytes::kib(4);
    let mut sum = Bytes::ZERO;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let data = entry
            .metadata()
            .with_context(|| format!("reading {}", entry.path().display()))?;
        let size = if data.is_dir() {
            content_size(&entry.path())?
        } else {
            Bytes::try_from(data.len())?
        };
        sum = sum.plus(size).plus(block).plus(block);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::harness::command::capture;

    #[tokio::test]
    async fn a_packed_folder_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let image = tempfile::NamedTempFile::new().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/large"), vec![7_u8; 40 << 20]).unwrap();

        pack(folder.path(), image.path(), Bytes::ZERO).await.unwrap();

        let mut list = Command::new("debugfs");
        list.args(["-R", "ls -p /sub"]).arg(image.path());
        assert!(capture(list).await.unwrap().contains("/large/41943040/"));
    }
}
