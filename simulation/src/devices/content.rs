//! What is inside of block devices: file systems, and what pods write.

use std::io;
use std::path::Path;

use node_driver::devices::Stage;
use node_driver::filesystem::{Content, Filesystem};
use placement::Extent;
use rustix::io::Errno;

use super::granules::{GRANULE, granules_of};
use super::mounts::Shows;
use super::state::State;
use super::tag::{Serial, Tag};

impl State {
    /// The region, and the part of it that the block device of a namespace shows; none without one, or if the region is away.
    pub(super) fn shown_part(&self, serial: Serial) -> Option<(usize, Extent)> {
        let found = self.namespace(serial)?;
        let (_, mode, _) = found.block()?;
        let is_there = self.regions.get(found.region)?.is_listed;
        is_there.then(|| (found.region, found.shown_by(mode)))
    }

    fn part_at(&self, device: &Path) -> io::Result<(Serial, usize, Extent)> {
        let (serial, _, _) = self.block_at(device).ok_or(Errno::NOENT)?;
        let (region, part) = self.shown_part(serial).ok_or(Errno::IO)?;
        Ok((serial, region, part))
    }

    pub(super) fn content(&mut self, device: &Path) -> io::Result<Content> {
        let (serial, region, part) = self.part_at(device)?;
        let head = Extent::new(part.start, GRANULE);
        if self.regions[region].has_bad(head) {
            return Err(Errno::IO.into());
        }
        self.look(serial, "looked at");
        Ok(match self.regions[region].shown.at(granules_of(head).start) {
            Tag::Zero => Content::Blank,
            Tag::Superblock { fs, .. } => Content::Filesystem(fs),
            _ => Content::Foreign("data that nothing identifies".into()),
        })
    }

    /// What mkfs writes first: killed before its end, it leaves this.
    pub(super) fn begin_format(&mut self, device: &Path) -> io::Result<Serial> {
        let (serial, region, part) = self.part_at(device)?;
        let Some(found) = self.namespace(serial) else {
            return Err(Errno::NOENT.into());
        };
        if self.user(found).is_some() {
            return Err(Errno::BUSY.into());
        }
        if found.label.shown.stage() != Some(Stage::HandedOut) {
            let what = format!("{} is formatted", found.title());
            self.violated(what);
        }
        self.look(serial, "formatted");
        let garbage = Tag::Garbage { of: serial };
        self.regions[region].write_cached(Extent::new(part.start, GRANULE), garbage);
        Ok(serial)
    }

    pub(super) fn end_format(&mut self, serial: Serial, fs: Filesystem) -> io::Result<()> {
        let (region, part) = self.shown_part(serial).ok_or(Errno::IO)?;
        let generation = self.next_generation();
        let superblock = Tag::Superblock {
            of: serial,
            fs,
            generation,
        };
        self.regions[region].write(Extent::new(part.start, GRANULE), superblock);
        Ok(())
    }

    pub(super) fn check_filesystem(&mut self, device: &Path, fs: Filesystem) -> io::Result<()> {
        let (serial, ..) = self.part_at(device)?;
        let is_used = self.namespace(serial).is_some_and(|found| self.user(found).is_some());
        if is_used {
            return Err(Errno::BUSY.into());
        }
        match self.content(device)? {
            Content::Filesystem(found) if found == fs => Ok(()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// What holds the data of a mount: the region, the part of it that a pod can fill, and whose it is.
    fn data_at(&self, path: &Path) -> io::Result<(Serial, usize, Extent, bool)> {
        let mounted = self.mount_at(path).ok_or(Errno::NOENT)?;
        let (region, part) = self.shown_part(mounted.serial).ok_or(Errno::IO)?;
        let first = match mounted.shows {
            Shows::Filesystem => GRANULE,
            Shows::Device(_) => placement::Bytes::ZERO,
        };
        let data = Extent::new(part.start.plus(first), part.size.minus(first));
        Ok((mounted.serial, region, data, mounted.mount.read_only()))
    }

    pub(super) fn write(&mut self, path: &Path, token: u64) -> io::Result<()> {
        let (serial, region, data, is_read_only) = self.data_at(path)?;
        if is_read_only {
            return Err(Errno::ROFS.into());
        }
        self.regions[region].write(data, Tag::Data { of: serial, token });
        Ok(())
    }

    pub(super) fn read(&mut self, path: &Path) -> io::Result<Option<u64>> {
        let (serial, region, data, _) = self.data_at(path)?;
        self.look(serial, "read");
        let region = &self.regions[region];
        if region.has_bad(data) {
            return Err(Errno::IO.into());
        }
        let mut runs = region.shown.runs(granules_of(data)).map(|(_, tag)| tag);
        match (runs.next(), runs.next()) {
            (Some(Tag::Zero), None) => Ok(None),
            (Some(Tag::Data { of, token }), None) if of == serial => Ok(Some(token)),
            (first, second) => {
                let what = format!("not what one write left: {first:?}, {second:?}");
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }
}
