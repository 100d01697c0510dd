//! A file that holds an image, or a drive of the host: opened without side effects, locked, read and written in place,
//! and checked for what others do to it.

use std::{
    fmt::Display,
    fs::{self, File, TryLockError},
    io::{self, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

use log::debug;

use super::{
    error::ImageError,
    host,
    options::{Access, ImageOptions, Lock},
};
use crate::sync::atomic::{AtomicU32, Ordering};

/// What a path must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A regular file.
    File,
    /// A floppy drive of the host, or a regular file in its place. Its disk can be removed, and can have bad sectors.
    HostDrive,
}

impl Source {
    fn allows(self, file_type: &fs::FileType) -> bool {
        file_type.is_file() || self == Self::HostDrive && host::is_block_device(file_type)
    }
}

/// A file that is locked for as long as the value lives, if the policy is so: against every other use if it is to be
/// written, against writers otherwise.
#[derive(Debug)]
pub(super) struct LockedFile {
    file: Arc<File>,
    /// Not `ReadWriteIfPermitted`.
    access: Access,
    policy: Lock,
    length: u64,
    /// The path by which the file was opened, or `None` if an open file was given.
    path: Option<PathBuf>,
    /// Whether this is a regular file, whose length and links the host reports. It does not for a device.
    regular: bool,
    locked: bool,
}

impl LockedFile {
    pub(super) fn open(path: &Path, options: &ImageOptions, source: Source) -> Result<Self, ImageError> {
        if options.access() != Access::ReadWriteIfPermitted {
            return Self::open_with(path, options.access(), options.lock(), source);
        }
        match Self::open_with(path, Access::ReadWrite, options.lock(), source) {
            Err(ImageError::Open(error)) if is_not_permitted(&error) => {
                Self::open_with(path, Access::ReadOnly, options.lock(), source)
            }
            outcome => outcome,
        }
    }

    fn open_with(path: &Path, access: Access, policy: Lock, source: Source) -> Result<Self, ImageError> {
        // Checked before the file is opened, because to open some devices has side effects.
        let before = fs::metadata(path).map_err(ImageError::Open)?.file_type();
        if !source.allows(&before) {
            return Err(ImageError::WrongFileType);
        }
        let mut options = File::options();
        host::open_flags(options.read(true).write(access == Access::ReadWrite), host::is_block_device(&before));
        let file = options.open(path).map_err(no_disk_or(ImageError::Open))?;
        // Another program can have replaced the file meanwhile.
        let opened = file.metadata().map_err(ImageError::Open)?.file_type();
        if !source.allows(&opened) {
            return Err(ImageError::WrongFileType);
        }
        Self::new(file, access, policy, Some(path.to_owned()), opened.is_file())
    }

    /// Takes a file that is open. Returns what it is, too.
    pub(super) fn from_file(file: File, options: &ImageOptions) -> Result<(Self, Source), ImageError> {
        let file_type = file.metadata().map_err(ImageError::Open)?.file_type();
        let source = if file_type.is_file() { Source::File } else { Source::HostDrive };
        if !source.allows(&file_type) {
            return Err(ImageError::WrongFileType);
        }
        host::check_readable(&file).map_err(ImageError::Open)?;
        let writable = || host::check_writable(&file);
        let access = match options.access() {
            Access::ReadWrite => writable().map(|()| Access::ReadWrite).map_err(ImageError::Open)?,
            Access::ReadWriteIfPermitted => writable().map_or(Access::ReadOnly, |()| Access::ReadWrite),
            access => access,
        };
        Ok((Self::new(file, access, options.lock(), None, file_type.is_file())?, source))
    }

    fn new(
        mut file: File,
        access: Access,
        policy: Lock,
        path: Option<PathBuf>,
        regular: bool,
    ) -> Result<Self, ImageError> {
        let locked = lock(&file, access, policy, path.as_deref())?;
        // Not from the metadata, where a block device has no length.
        let length = file.seek(SeekFrom::End(0)).map_err(no_disk_or(ImageError::Size))?;
        Ok(Self { file: Arc::new(file), access, policy, length, path, regular, locked })
    }

    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// Returns whether the file was to be locked.
    pub(super) fn policy(&self) -> Lock {
        self.policy
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns what messages call the file.
    pub(super) fn title(&self) -> impl Display {
        self.path().unwrap_or(Path::new("the open file")).display()
    }

    /// Returns the number of bytes that the file has, as far as the library knows: those that it had when it was opened,
    /// and those that the library has added.
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

    /// Writes to the file, and remembers that it becomes longer. The host may write a part of the bytes before it fails.
    pub(super) fn write_and_extend(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        let written = self.write_at(bytes, offset);
        if end > self.length {
            self.length = match &written {
                Ok(()) => end,
                Err(_) => self.file.metadata().map_or(self.length, |file| file.len().clamp(self.length, end)),
            };
        }
        written
    }

    /// Truncates the file to its first `length` bytes, if it has more.
    pub(super) fn truncate(&mut self, length: u64) -> io::Result<()> {
        if self.length > length {
            self.file.set_len(length)?;
            self.length = length;
        }
        Ok(())
    }

    /// Checks that the file has the length that the library knows. A program that ignores the lock can change
    /// it.
    pub(super) fn check_length(&self) -> io::Result<()> {
        if !self.regular {
            return Ok(());
        }
        // A fifth of the time of a look at the metadata. The position of the file is used for nothing else.
        match (&*self.file).seek(SeekFrom::End(0))? {
            length if length == self.length => Ok(()),
            length => Err(io::Error::other(format!(
                "the file has {length} bytes instead of {}: another program has changed it",
                self.length
            ))),
        }
    }

    /// Checks that the file can be found: it has a name, and no other file has taken the name by which it was opened.
    pub(super) fn check_name(&self) -> io::Result<()> {
        let Some(path) = self.path().filter(|_| self.regular) else { return Ok(()) };
        let own = self.file.metadata()?;
        if host::is_unlinked(&own) {
            return Err(io::Error::other("the file was deleted, or replaced by another"));
        }
        match fs::metadata(path) {
            Ok(named) if host::identity(&named) != host::identity(&own) => {
                Err(io::Error::other("another file has the name of this one"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the open file, to be synced while the drive is not locked.
    pub(super) fn handle(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Unlocks the file.
    pub(super) fn unlock(&mut self) -> io::Result<()> {
        if self.locked {
            self.file.unlock()?;
            self.locked = false;
        }
        Ok(())
    }

    /// Returns what it takes to check, while the drive is not locked, whether the path still leads to this file.
    pub(super) fn identity(&self) -> FileIdentity {
        FileIdentity { file: self.handle(), length: self.length, regular: self.regular }
    }
}

/// The number of times that the host has failed to store a file on its disk. The host reports each failure once, to one
/// of those who wait; this count makes it a failure for all of them.
#[derive(Clone, Debug)]
pub(super) struct SyncFailures(Arc<AtomicU32>);

impl SyncFailures {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(0)))
    }

    pub(super) fn count(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Waits until what was handed to the host is on its disk. `before` is the count of failures at the time it was
    /// handed over.
    pub(super) fn sync(&self, file: &File, before: u32) -> io::Result<()> {
        file.sync_data().inspect_err(|_| _ = self.0.fetch_add(1, Ordering::AcqRel))?;
        if self.count() != before {
            return Err(io::Error::other("the host has failed to save the file meanwhile"));
        }
        Ok(())
    }
}

/// Which file, or which disk in a drive of the host, was opened.
pub(crate) struct FileIdentity {
    file: Arc<File>,
    length: u64,
    regular: bool,
}

impl FileIdentity {
    /// Returns whether the path leads to the same file or device, whatever its length is.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(own), Ok(named)) => host::identity(&own).is_some_and(|own| host::identity(&named) == Some(own)),
            _ => false,
        }
    }

    /// Returns whether the path leads to what was opened: for a drive of the host, to a disk of the same size.
    pub(crate) fn is_still_at(&self, path: &Path) -> bool {
        let Ok(metadata) = fs::metadata(path) else { return false };
        if self.regular {
            let same = self.file.metadata().is_ok_and(|own| host::identity(&own) == host::identity(&metadata));
            return same && metadata.len() == self.length;
        }
        let mut options = File::options();
        // Not with the flags of a device: it is open already, and they ask for exclusive use.
        host::open_flags(options.read(true), false);
        let Ok(mut file) = options.open(path) else { return false };
        let device = file.metadata().is_ok_and(|metadata| host::is_block_device(&metadata.file_type()));
        device && file.seek(SeekFrom::End(0)).is_ok_and(|length| length == self.length)
    }
}

/// Locks a file as the policy says. Returns whether it is locked.
fn lock(file: &File, access: Access, policy: Lock, path: Option<&Path>) -> Result<bool, ImageError> {
    if policy == Lock::None {
        return Ok(false);
    }
    let locked = match access {
        Access::ReadWrite | Access::ReadWriteIfPermitted => file.try_lock(),
        Access::ReadOnly | Access::Private => file.try_lock_shared(),
    };
    match locked {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Err(ImageError::InUse { path: path.map(ToOwned::to_owned) }),
        Err(TryLockError::Error(error)) if !host::is_without_locks(&error) => Err(ImageError::Lock(error)),
        Err(TryLockError::Error(error)) if policy == Lock::Required => Err(ImageError::LockUnsupported(error)),
        Err(TryLockError::Error(error)) => {
            debug!("{} is not locked: {error}", path.unwrap_or(Path::new("the open file")).display());
            Ok(false)
        }
    }
}

/// Returns whether the host does not permit to write a file that may be readable.
fn is_not_permitted(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Returns a function that turns a host's error into an error of the library: `Empty` if the drive has no disk in it.
fn no_disk_or(error: fn(io::Error) -> ImageError) -> impl Fn(io::Error) -> ImageError {
    move |cause| if host::is_no_medium(&cause) { ImageError::Empty } else { error(cause) }
}

impl Drop for LockedFile {
    /// Unlocks the file. To close it would leave the lock with a process that was forked meanwhile and shares the open
    /// file.
    fn drop(&mut self) {
        if let Err(error) = self.unlock() {
            debug!("cannot unlock {}: {error}", self.title());
        }
    }
}
