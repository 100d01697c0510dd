//! A file that holds an image, or a drive of the host: opened with care, locked, read and written in place, and watched
//! for what others do to it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use log::debug;

use crate::sync::atomic::{AtomicU32, Ordering};

use super::{Access, ImageError, host};

/// What a path has to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A regular file, whose bytes are the host's to keep.
    File,
    /// A floppy drive of the host, or a file that stands for one: its disk can be taken out, and have bad sectors.
    HostDrive,
}

impl Source {
    fn allows(self, file_type: &fs::FileType) -> bool {
        file_type.is_file() || self == Self::HostDrive && host::is_block_device(file_type)
    }
}

/// A file that is locked for as long as the value lives: against every other use where it is to be written, against
/// writers otherwise.
#[derive(Debug)]
pub(super) struct LockedFile {
    file: Arc<File>,
    access: Access,
    length: u64,
    path: PathBuf,
    /// Of a regular file the host tells the length, and whether it has a name. Of a device it does not.
    regular: bool,
    locked: bool,
}

impl LockedFile {
    pub(super) fn open(path: &Path, access: Access, source: Source) -> Result<Self, ImageError> {
        // Asked before the file is opened, because opening some devices does something.
        let before = fs::metadata(path).map_err(ImageError::Open)?.file_type();
        if !source.allows(&before) {
            return Err(ImageError::WrongFileType);
        }
        let mut options = File::options();
        host::careful(options.read(true).write(access == Access::ReadWrite), host::is_block_device(&before));
        let file = options.open(path).map_err(no_disk_or(ImageError::Open))?;
        // It may have been replaced meanwhile.
        let opened = file.metadata().map_err(ImageError::Open)?.file_type();
        if !source.allows(&opened) {
            return Err(ImageError::WrongFileType);
        }
        Self::lock(file, access, path.to_owned(), opened.is_file())
    }

    fn lock(mut file: File, access: Access, path: PathBuf, regular: bool) -> Result<Self, ImageError> {
        let locked = match access {
            Access::ReadWrite => file.try_lock(),
            Access::ReadOnly | Access::Private => file.try_lock_shared(),
        };
        locked.map_err(|error| match error {
            TryLockError::WouldBlock => ImageError::InUse,
            TryLockError::Error(error) => ImageError::Lock(error),
        })?;
        // Not from the metadata, where a block device has no length.
        let length = file.seek(SeekFrom::End(0)).map_err(no_disk_or(ImageError::Size))?;
        Ok(Self { file: Arc::new(file), access, length, path, regular, locked: true })
    }

    pub(super) fn access(&self) -> Access {
        self.access
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The size of the file in bytes, as it was when it was opened.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        host::read_at(&self.file, bytes, offset)
    }

    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        host::write_at(&self.file, bytes, offset)
    }

    /// The file has the length that it had: nobody has cut it or made it grow, against the lock.
    pub(super) fn check_length(&self) -> io::Result<()> {
        if !self.regular {
            return Ok(());
        }
        match self.file.metadata()?.len() {
            length if length == self.length => Ok(()),
            length => Err(io::Error::other(format!(
                "the file has {length} bytes instead of {}: another program has changed it",
                self.length
            ))),
        }
    }

    /// What is written to the file can be found: by its own name, or by another if no other file has taken that.
    pub(super) fn check_name(&self) -> io::Result<()> {
        if !self.regular {
            return Ok(());
        }
        let own = self.file.metadata()?;
        if host::is_unlinked(&own) {
            return Err(io::Error::other("the file was deleted, or replaced by another"));
        }
        match fs::metadata(&self.path) {
            Ok(named) if host::identity(&named) != host::identity(&own) => {
                Err(io::Error::other("another file has the name of this one"))
            }
            _ => Ok(()),
        }
    }

    /// The open file, to be waited for without the lock.
    pub(super) fn handle(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Lets others have the file.
    pub(super) fn unlock(&mut self) -> io::Result<()> {
        if self.locked {
            self.file.unlock()?;
            self.locked = false;
        }
        Ok(())
    }

    /// What it takes to see whether it is still there, without the lock.
    pub(super) fn presence(&self) -> Presence {
        Presence { file: self.handle(), length: self.length, regular: self.regular }
    }
}

/// How often the host has failed to bring a file to its disk. It tells of each failure once, to one of those who wait, and
/// each has to be one for all of them.
#[derive(Clone, Debug)]
pub(super) struct SyncFailures(Arc<AtomicU32>);

impl SyncFailures {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(0)))
    }

    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Waits until the host's disk has what was handed over, to which it had failed `before` times.
    pub(super) fn sync(&self, file: &File, before: u32) -> io::Result<()> {
        file.sync_data().inspect_err(|_| _ = self.0.fetch_add(1, Ordering::AcqRel))?;
        if self.count() != before {
            return Err(io::Error::other("the host has failed to save the file meanwhile"));
        }
        Ok(())
    }
}

/// A drive of the host, or a file that stands for one, and the disk that was found in it.
pub(crate) struct Presence {
    file: Arc<File>,
    length: u64,
    regular: bool,
}

impl Presence {
    /// What the path leads to now is what was opened: for a drive of the host, a disk of the same size.
    pub(crate) fn is_still_at(&self, path: &Path) -> bool {
        let Ok(metadata) = fs::metadata(path) else { return false };
        if self.regular {
            let same = self.file.metadata().is_ok_and(|own| host::identity(&own) == host::identity(&metadata));
            return same && metadata.len() == self.length;
        }
        let mut options = File::options();
        // Not as a device, which is open already, and for nobody else then.
        host::careful(options.read(true), false);
        let Ok(mut file) = options.open(path) else { return false };
        let device = file.metadata().is_ok_and(|metadata| host::is_block_device(&metadata.file_type()));
        device && file.seek(SeekFrom::End(0)).is_ok_and(|length| length == self.length)
    }
}

/// The error of an open, but where the drive has no disk in it.
fn no_disk_or(error: fn(io::Error) -> ImageError) -> impl Fn(io::Error) -> ImageError {
    move |cause| if host::is_no_medium(&cause) { ImageError::Empty } else { error(cause) }
}

impl Drop for LockedFile {
    /// Unlocks now: closing would leave the lock to a process that was forked meanwhile and shares the open file.
    fn drop(&mut self) {
        if let Err(error) = self.unlock() {
            debug!("cannot unlock an image: {error}");
        }
    }
}
