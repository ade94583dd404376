//! File systems, mounts and paths, as one run of the driver has them.

use std::io;
use std::path::{Path, PathBuf};

use node_driver::filesystem::{
    Content, DeviceNumber, Filesystem, FilesystemError, Filesystems, MountOptions, MountTable, PathTarget, Usage,
};
use placement::{Bytes, Extent, Mode};
use rustix::io::Errno;

use super::driver::Run;
use super::faults::Call;
use super::mounts::{Mounted, PathKind, Shows, beside, write_option};
use super::state::State;
use super::tag::Serial;

/// Inodes of every file system here.
const INODES: u64 = 1000;

impl Run {
    /// Looks at the machine, unless this run was killed.
    fn look<T>(
        &self,
        action: &'static str,
        path: &Path,
        look: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, FilesystemError> {
        let seen = self.fuse.check().map_err(io::Error::other);
        seen.and_then(|()| look(&mut self.machine.state()))
            .map_err(at(action, path))
    }

    /// Changes the machine, unless this run was killed before.
    fn act<T>(
        &self,
        action: &'static str,
        path: &Path,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T, FilesystemError> {
        let done = self.fuse.effect(|| act(&mut self.machine.state()));
        done.map_err(io::Error::other).flatten().map_err(at(action, path))
    }

    /// A read-only bind is one of a read-only mount that is prepared beside the target.
    fn bind_read_only(&self, source: &Path, target: &Path) -> Result<(), FilesystemError> {
        self.clear_interrupted_bind(target)?;
        let hidden = beside(target);
        self.act("make", &hidden, |state| state.make_like(source, &hidden))?;
        let bound = self
            .act("bind to", &hidden, |state| state.bind(source, &hidden))
            .and_then(|()| self.act("make read-only", &hidden, |state| state.make_read_only(&hidden)))
            .and_then(|()| self.act("bind to", target, |state| state.bind(&hidden, target)));
        let cleared = self.clear_interrupted_bind(target);
        bound.and(cleared)
    }
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FilesystemError {
    let path = path.to_owned();
    move |source| FilesystemError::Io { action, path, source }
}

impl Filesystems for Run {
    fn stat(&self, path: &Path) -> Result<Option<PathTarget>, FilesystemError> {
        self.look("look at", path, |state| {
            state.may(Call::Stat)?;
            Ok(state.target(path))
        })
    }

    /// There are no symbolic links here, and parents are always there: the kubelet makes them.
    fn resolve(&self, path: &Path) -> Result<PathBuf, FilesystemError> {
        self.look("resolve", path, |_| Ok(path.to_owned()))
    }

    fn make_directory(&self, path: &Path) -> Result<(), FilesystemError> {
        let kind = PathKind::Directory;
        self.act("make directory", path, |state| state.make_path(path, kind))
    }

    fn make_file(&self, path: &Path) -> Result<(), FilesystemError> {
        self.act("make file", path, |state| state.make_path(path, PathKind::File))
    }

    fn remove(&self, path: &Path) -> Result<(), FilesystemError> {
        self.act("remove", path, |state| state.remove_path(path))
    }

    fn content(&self, device: &Path) -> Result<Content, FilesystemError> {
        self.look("read", device, |state| {
            state.may(Call::Content)?;
            state.content(device)
        })
    }

    fn format(&self, device: &Path, fs: Filesystem, _: Bytes) -> Result<(), FilesystemError> {
        let begun = self.act("format", device, |state| state.begin_format(device))?;
        self.act("format", device, |state| {
            state.may(Call::Format)?;
            state.end_format(begun, fs)
        })
    }

    fn is_held(&self, device: &Path) -> Result<bool, FilesystemError> {
        self.look("open", device, |state| state.is_held(device))
    }

    fn check(&self, device: &Path, fs: Filesystem) -> Result<(), FilesystemError> {
        self.act("check", device, |state| state.check_filesystem(device, fs))
    }

    fn mounts(&self) -> Result<MountTable, FilesystemError> {
        self.look("read", Path::new("/proc/self/mountinfo"), |state| {
            state.may(Call::Stat)?;
            Ok(state.mounts.iter().map(|mounted| mounted.mount.clone()).collect())
        })
    }

    fn mount(
        &self,
        device: &Path,
        target: &Path,
        fs: Filesystem,
        options: &MountOptions,
    ) -> Result<(), FilesystemError> {
        self.act("mount", target, |state| state.mount(device, target, fs, options))
    }

    fn bind(&self, source: &Path, target: &Path, read_only: bool) -> Result<(), FilesystemError> {
        if read_only {
            return self.bind_read_only(source, target);
        }
        self.act("bind to", target, |state| state.bind(source, target))
    }

    fn unmount(&self, target: &Path) -> Result<(), FilesystemError> {
        self.act("unmount", target, |state| state.unmount(target))
    }

    fn clear_interrupted_bind(&self, target: &Path) -> Result<(), FilesystemError> {
        let hidden = beside(target);
        if self.look("look at", &hidden, |state| Ok(state.path(&hidden).is_none()))? {
            return Ok(());
        }
        while self.mounts()?.at(&hidden).is_some() {
            self.unmount(&hidden)?;
        }
        self.act("remove", &hidden, |state| state.remove_path(&hidden))
    }

    fn maps_directly(&self, on: &Path) -> Result<Option<bool>, FilesystemError> {
        self.look("make a file for a test in", on, |state| {
            let mounted = state.mount_at(on).ok_or(Errno::NOENT)?;
            Ok(Some(mounted.mount.shows_dax()))
        })
    }

    fn usage(&self, path: &Path) -> Result<Usage, FilesystemError> {
        self.look("measure", path, |state| {
            let serial = state.mount_at(path).ok_or(Errno::NOENT)?.serial;
            let (_, shown) = state.shown_part(serial).ok_or(Errno::IO)?;
            Ok(Usage {
                total: shown.size,
                available: shown.size,
                used: Bytes::ZERO,
                inodes: INODES,
                inodes_free: INODES,
            })
        })
    }

    fn bad_bytes(&self, device: DeviceNumber) -> Result<Bytes, FilesystemError> {
        self.look("read", Path::new("badblocks"), |state| Ok(state.bad_bytes(device)))
    }
}

impl State {
    /// Fails if that goes wrong now.
    pub(super) fn may(&mut self, call: Call) -> io::Result<()> {
        self.faults.refuses(call).map_or(Ok(()), Err)
    }

    fn make_path(&mut self, path: &Path, kind: PathKind) -> io::Result<()> {
        match self.paths.get(path) {
            Some(there) if *there != kind => Err(Errno::NOTDIR.into()),
            Some(_) => Ok(()),
            None => {
                self.paths.insert(path.to_owned(), kind);
                Ok(())
            }
        }
    }

    fn make_like(&mut self, source: &Path, path: &Path) -> io::Result<()> {
        let kind = match self.target(source) {
            None => return Err(Errno::NOENT.into()),
            Some(PathTarget::BlockDevice(_)) => PathKind::File,
            Some(PathTarget::OnDevice(_)) => PathKind::Directory,
        };
        match self.path(path) {
            Some(_) => Err(Errno::EXIST.into()),
            None => self.make_path(path, kind),
        }
    }

    fn remove_path(&mut self, path: &Path) -> io::Result<()> {
        if self.mount_at(path).is_some() {
            return Err(Errno::BUSY.into());
        }
        self.paths.remove(path);
        Ok(())
    }

    fn mount(&mut self, device: &Path, target: &Path, fs: Filesystem, options: &MountOptions) -> io::Result<()> {
        self.may(Call::Mount)?;
        let (serial, mode, number) = self.block_at(device).ok_or(Errno::NOENT)?;
        if self.path(target) != Some(PathKind::Directory) {
            return Err(Errno::NOENT.into());
        }
        if self.content(device)? != Content::Filesystem(fs) {
            return Err(Errno::INVAL.into());
        }
        self.check_handed("mounted", serial);
        let dax = matches!(mode, Mode::Fsdax(_)) && options.to_argument().contains("dax=always");
        let mounted = Mounted::of_filesystem(serial, number, target, fs, options.read_only(), dax);
        self.mounts.push(mounted);
        Ok(())
    }

    fn bind(&mut self, source: &Path, target: &Path) -> io::Result<()> {
        self.may(Call::Mount)?;
        let bound = match (self.block_at(source), self.mount_at(source)) {
            (Some((serial, _, number)), _) => Mounted::of_device(serial, source, number, target),
            (None, Some(mounted)) => mounted.bound_to(target),
            (None, None) => return Err(Errno::NOENT.into()),
        };
        let wanted = match bound.shows {
            Shows::Filesystem => PathKind::Directory,
            Shows::Device(_) => PathKind::File,
        };
        if self.path(target) != Some(wanted) {
            return Err(Errno::NOENT.into());
        }
        self.check_handed("bound", bound.serial);
        self.mounts.push(bound);
        Ok(())
    }

    fn make_read_only(&mut self, point: &Path) -> io::Result<()> {
        let mut mounts = self.mounts.iter_mut().rev();
        let found = mounts.find(|mounted| mounted.mount.point == point);
        found.ok_or(Errno::INVAL)?.mount.options = write_option(true).into();
        Ok(())
    }

    fn unmount(&mut self, target: &Path) -> io::Result<()> {
        self.may(Call::Unmount)?;
        let top = self.mounts.iter().rposition(|mounted| mounted.mount.point == target);
        self.mounts.remove(top.ok_or(Errno::INVAL)?);
        Ok(())
    }

    fn bad_bytes(&self, device: DeviceNumber) -> Bytes {
        let mut all = self.namespaces.iter();
        let found = all.find(|found| found.block().is_some_and(|(_, _, number)| number == device));
        let Some((region, part)) = found.and_then(|found| self.shown_part(found.serial)) else {
            return Bytes::ZERO;
        };
        let bad = self.regions[region].bad.iter().filter(|bad| bad.overlaps(part));
        bad.map(|bad| overlap(*bad, part)).sum()
    }

    /// Remembers it if a volume is handed to somebody who must not have it yet, or shows what is somebody else's.
    fn check_handed(&mut self, how: &str, serial: Serial) {
        self.look(serial, how);
        let Some(found) = self.namespace(serial) else {
            return;
        };
        let is_used = |label: &super::label::Label| label.stage() == Some(node_driver::devices::Stage::InUse);
        if found.label.shown.mark().is_some() && !found.label.is_always(is_used) {
            let what = format!("{how}: {} is not recorded as in use on its modules", found.title());
            self.violated(what);
        }
    }
}

fn overlap(one: Extent, other: Extent) -> Bytes {
    one.end().min(other.end()).minus(one.start.max(other.start))
}
