//! What is inside of block devices: file systems, and what pods write.

use std::io;
use std::path::Path;

use node_driver::devices::Stage;
use node_driver::filesystem::{Content, Filesystem};
use placement::{Bytes, Extent};
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

    /// What the block device of a namespace begins with.
    pub(super) fn first_block(&self, serial: Serial) -> Option<Tag> {
        let (region, part) = self.shown_part(serial)?;
        Some(self.regions[region].shown.at(granules_of(part).start))
    }

    pub(super) fn write_first_block(&mut self, serial: Serial, tag: Tag) {
        if let Some((region, part)) = self.shown_part(serial) {
            self.regions[region].write(Extent::new(part.start, GRANULE), tag);
        }
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

    pub(super) fn is_held(&self, device: &Path) -> io::Result<bool> {
        let (serial, ..) = self.part_at(device)?;
        Ok(self.namespace(serial).is_some_and(|found| self.user(found).is_some()))
    }

    pub(super) fn check_filesystem(&mut self, device: &Path, fs: Filesystem) -> io::Result<()> {
        if self.is_held(device)? {
            return Err(Errno::BUSY.into());
        }
        match self.content(device)? {
            Content::Filesystem(found) if found == fs => Ok(()),
            _ => Err(Errno::INVAL.into()),
        }
    }

    /// Where a pod writes: the region, and the part of it. In a file system that is behind its superblock.
    fn data_of(&self, serial: Serial, shows: Shows) -> Option<(usize, Extent)> {
        let (region, part) = self.shown_part(serial)?;
        let first = match shows {
            Shows::Filesystem => GRANULE,
            Shows::Device(_) => Bytes::ZERO,
        };
        Some((region, Extent::new(part.start.plus(first), part.size.minus(first))))
    }

    /// How often a namespace was formatted, as its superblock says.
    fn generation(&self, serial: Serial) -> u32 {
        let superblock = self.shown_part(serial).map(|(region, part)| {
            let first = granules_of(part).start;
            self.regions[region].shown.at(first)
        });
        match superblock {
            Some(Tag::Superblock { generation, .. }) => generation,
            _ => 0,
        }
    }

    pub(super) fn write(&mut self, path: &Path, token: u64) -> io::Result<()> {
        let mounted = self.mount_at(path).ok_or(Errno::NOENT)?;
        if mounted.mount.read_only() {
            return Err(Errno::ROFS.into());
        }
        let (serial, shows) = (mounted.serial, mounted.shows);
        let (region, data) = self.data_of(serial, shows).ok_or(Errno::IO)?;
        let tag = Tag::Data {
            of: serial,
            token,
            generation: self.generation_for(serial, shows),
        };
        self.regions[region].write(data, tag);
        Ok(())
    }

    /// Every byte of a block device is this token.
    pub(super) fn fill(&mut self, serial: Serial, token: u64) {
        if let Some((region, part)) = self.shown_part(serial) {
            let tag = Tag::Data {
                of: serial,
                token,
                generation: 0,
            };
            self.regions[region].write(part, tag);
        }
    }

    pub(super) fn read(&mut self, path: &Path) -> io::Result<Option<u64>> {
        let mounted = self.mount_at(path).ok_or(Errno::NOENT)?;
        let (serial, shows) = (mounted.serial, mounted.shows);
        self.look(serial, "read");
        let (region, data) = self.data_of(serial, shows).ok_or(Errno::IO)?;
        let generation = self.generation_for(serial, shows);
        let region = &self.regions[region];
        if region.has_bad(data) {
            return Err(Errno::IO.into());
        }
        let tokens = region.shown.runs(granules_of(data)).map(|(_, tag)| match tag {
            Tag::Data {
                of,
                token,
                generation: written,
            } if of == serial && written == generation => Ok(Some(token)),
            Tag::Zero => Ok(None),
            // What a file system does not know of, it does not show.
            _ if shows == Shows::Filesystem => Ok(None),
            other => Err(other),
        });
        let tokens: Vec<_> = tokens.collect();
        match tokens[..] {
            [Ok(token)] => Ok(token),
            _ if tokens.iter().all(|token| *token == Ok(None)) => Ok(None),
            _ => {
                let what = format!("not what one write left: {:?}", tokens.get(..3).unwrap_or(&tokens));
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }

    fn generation_for(&self, serial: Serial, shows: Shows) -> u32 {
        match shows {
            Shows::Filesystem => self.generation(serial),
            Shows::Device(_) => 0,
        }
    }
}
