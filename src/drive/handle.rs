//! The bay that a drive and its managers share, and the handle by which managers reach it.
//!
//! One lock, held for one transfer or one flush at most: files are opened before it is taken.

use std::{
    error::Error,
    fmt,
    fs::FileType,
    path::{Path, PathBuf, absolute},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use log::warn;

use super::{AttachError, DriveType, ReleaseError};
use crate::media::{Image, ImageError, ImageOptions, Medium};

/// What is attached to a drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Attachment {
    /// Nothing: the drive is empty.
    #[default]
    None = 0,
    /// An image, or a medium that the embedder made.
    Image = 1,
    /// A floppy drive of the host.
    HostDrive = 2,
}

/// What a drive of a virtual machine and its managers share.
#[derive(Debug)]
pub(crate) struct Bay {
    number: u8,
    drive_type: DriveType,
    /// The latch behind the disk-change line. Changed with the state locked, and looked at without.
    changed: AtomicBool,
    state: Mutex<BayState>,
}

pub(crate) struct BayState {
    loaded: Option<Loaded>,
    /// How many media have been attached: tells one from the next.
    disk: u64,
    /// The controller is gone.
    closed: bool,
}

struct Loaded {
    medium: Box<dyn Medium>,
    kind: Attachment,
    path: Option<PathBuf>,
}

impl fmt::Debug for BayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BayState")
            .field("attachment", &self.attachment())
            .field("path", &self.path())
            .field("closed", &self.closed)
            .finish()
    }
}

impl BayState {
    pub(crate) fn medium(&self) -> Option<&dyn Medium> {
        self.loaded.as_ref().map(|loaded| &*loaded.medium)
    }

    pub(crate) fn medium_mut(&mut self) -> Option<&mut (dyn Medium + 'static)> {
        self.loaded.as_mut().map(|loaded| &mut *loaded.medium)
    }

    /// Which medium it is, of all that have been attached.
    pub(crate) fn disk(&self) -> u64 {
        self.disk
    }

    fn attachment(&self) -> Attachment {
        self.loaded.as_ref().map_or(Attachment::None, |loaded| loaded.kind)
    }

    fn path(&self) -> Option<&Path> {
        self.loaded.as_ref().and_then(|loaded| loaded.path.as_deref())
    }
}

impl Bay {
    pub(crate) fn new(number: u8, drive_type: DriveType) -> Self {
        // The latch is set at power-up, with a disk or without.
        let changed = AtomicBool::new(true);
        // No disk of one drive has the number of one of another.
        let state = BayState { loaded: None, disk: u64::from(number) << 56, closed: false };
        Self { number, drive_type, changed, state: Mutex::new(state) }
    }

    /// A medium that panicked while it was in use leaves nothing half done in the bay itself.
    pub(crate) fn lock(&self) -> MutexGuard<'_, BayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// A step pulse clears the latch, but only while a disk is in.
    pub(crate) fn clear_change(&self) {
        if self.changed() {
            let state = self.lock();
            self.changed.store(state.loaded.is_none(), Ordering::Release);
        }
    }

    /// The controller goes away: what is attached is saved and let go, and handles answer so from now on.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let loaded = state.loaded.take();
        // A medium of the embedder's may ask its handle when it is dropped.
        drop(state);
        if let Some(mut loaded) = loaded
            && let Err(error) = loaded.medium.flush()
        {
            let source = ReleaseError::UnmountFailed { drive: self.number, path: loaded.path, source: error };
            warn!("{source}: {}", source.source().map(ToString::to_string).unwrap_or_default());
        }
    }

    fn vacant(&self) -> Result<MutexGuard<'_, BayState>, AttachError> {
        let (state, drive) = (self.lock(), self.number);
        if state.closed {
            return Err(AttachError::VmUnknown { drive });
        }
        if state.loaded.is_some() {
            return Err(AttachError::DriveInUse { drive });
        }
        Ok(state)
    }

    fn attach_path(&self, path: &Path, options: ImageOptions, kind: Attachment) -> Result<(), AttachError> {
        let (drive, drive_type) = (self.number, self.drive_type);
        drop(self.vacant()?);
        if path.as_os_str().is_empty() {
            return Err(AttachError::EmptyPath { drive });
        }
        let failed = |error| AttachError::opening(drive, drive_type, kind, path.to_owned(), ImageError::Open(error));
        let path = absolute(path).map_err(failed)?;
        let allowed = match kind {
            Attachment::HostDrive => is_disk,
            Attachment::None | Attachment::Image => FileType::is_file,
        };
        match Image::open_for(&path, options, allowed, |geometry| drive_type.accepts(geometry)) {
            Ok(image) => self.load(Loaded { medium: Box::new(image), kind, path: Some(path) }),
            Err(error) => Err(AttachError::opening(drive, drive_type, kind, path, error)),
        }
    }

    /// The door shuts. The change latch stays as it is: set, since the drive was empty.
    fn load(&self, loaded: Loaded) -> Result<(), AttachError> {
        let mut state = self.vacant()?;
        state.loaded = Some(loaded);
        state.disk += 1;
        Ok(())
    }

    fn release(&self, kind: Attachment) -> Result<Box<dyn Medium>, ReleaseError> {
        let (mut state, drive) = (self.lock(), self.number);
        if state.closed {
            return Err(ReleaseError::VmUnknown { drive });
        }
        let Some(mut loaded) = state.loaded.take() else {
            return Err(ReleaseError::NoMediaCaptured { drive });
        };
        if loaded.kind != kind {
            state.loaded = Some(loaded);
            return Err(ReleaseError::WrongMediaType { drive });
        }
        if let Err(source) = loaded.medium.flush() {
            let path = loaded.path.clone();
            state.loaded = Some(loaded);
            return Err(ReleaseError::UnmountFailed { drive, path, source });
        }
        self.changed.store(true, Ordering::Release);
        Ok(loaded.medium)
    }
}

/// A floppy drive of the host, or a file that stands for one.
fn is_disk(file_type: &FileType) -> bool {
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_block_device(file_type) {
        return true;
    }
    file_type.is_file()
}

/// A drive of a virtual machine, as its manager sees it: what is attached, and the way to change that.
///
/// A handle can be cloned and sent to any thread, and used while the guest runs. It outlives the controller: what
/// needs one then answers that the virtual machine is gone. The methods and their outcomes are those of
/// `IVMFloppyDrive`.
///
/// ```
/// use vm_fdc::{Controller, drive::{Attachment, DriveType}, media::Access};
///
/// let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
/// let a = fdc.drive(0)?;
/// a.attach_image("fixtures/dos-1440k.img", Access::Private)?;
/// assert_eq!(a.attachment(), Attachment::Image);
/// a.release_image()?;
/// assert_eq!(a.attachment(), Attachment::None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FloppyDrive {
    bay: Arc<Bay>,
}

impl FloppyDrive {
    pub(super) fn new(bay: Arc<Bay>) -> Self {
        Self { bay }
    }

    /// The number of the drive, from 0. Answers even when the controller is gone.
    #[must_use]
    pub fn drive_number(&self) -> u8 {
        self.bay.number
    }

    /// What kind of drive it is.
    #[must_use]
    pub fn drive_type(&self) -> DriveType {
        self.bay.drive_type
    }

    /// What is attached. Nothing is, once the controller is gone.
    #[must_use]
    pub fn attachment(&self) -> Attachment {
        self.bay.lock().attachment()
    }

    /// The absolute path of the attached image, as it was at the attach; `None` when no image file is attached.
    #[must_use]
    pub fn image_file(&self) -> Option<PathBuf> {
        self.attached_path(Attachment::Image)
    }

    /// The absolute path of the attached host drive; `None` when none is attached.
    #[must_use]
    pub fn host_drive(&self) -> Option<PathBuf> {
        self.attached_path(Attachment::HostDrive)
    }

    fn attached_path(&self, kind: Attachment) -> Option<PathBuf> {
        let state = self.bay.lock();
        state.path().filter(|_| state.attachment() == kind).map(Path::to_owned)
    }

    /// Attaches the raw floppy image in the file `path`. A relative path is taken from the current directory.
    ///
    /// `options` is an [`Access`](crate::media::Access), or [`ImageOptions`] that name the geometry, too.
    ///
    /// # Errors
    ///
    /// An [`AttachError`] that says what is wrong with the drive, the path or the file. Nothing has changed then.
    pub fn attach_image(&self, path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<(), AttachError> {
        self.bay.attach_path(path.as_ref(), options.into(), Attachment::Image)
    }

    /// Attaches the floppy drive of the host at `path`: a block device with a disk in it, or a file that stands for one.
    /// It is mapped as an image is: a disk that the host cannot read ends the process, as a truncated image does.
    ///
    /// # Errors
    ///
    /// As [`attach_image`](Self::attach_image).
    pub fn attach_host_drive(
        &self,
        path: impl AsRef<Path>,
        options: impl Into<ImageOptions>,
    ) -> Result<(), AttachError> {
        self.bay.attach_path(path.as_ref(), options.into(), Attachment::HostDrive)
    }

    /// Attaches a medium that the embedder made. It counts as an image without a file;
    /// [`release_medium`](Self::release_medium) gives it back.
    ///
    /// # Errors
    ///
    /// [`AttachError::VmUnknown`], [`AttachError::DriveInUse`], or [`AttachError::UnsuitableMedium`] for a disk of
    /// another size than the drive's, or with more cylinders.
    pub fn attach_medium(&self, medium: impl Medium) -> Result<(), AttachError> {
        let (drive, drive_type) = (self.bay.number, self.bay.drive_type);
        let (form_factor, cylinders) = (medium.form_factor(), medium.cylinders());
        if !drive_type.takes(form_factor, cylinders) {
            return Err(AttachError::UnsuitableMedium { drive, drive_type, form_factor, cylinders });
        }
        self.bay.load(Loaded { medium: Box::new(medium), kind: Attachment::Image, path: None })
    }

    /// Releases the attached image: what the guest wrote is brought to the file, then the file is let go. The guest
    /// sees the change line. An access of the guest's to the disk waits meanwhile.
    ///
    /// # Errors
    ///
    /// A [`ReleaseError`]. After [`ReleaseError::UnmountFailed`] the image is still attached, and the release can be
    /// repeated.
    pub fn release_image(&self) -> Result<(), ReleaseError> {
        self.release_medium().map(drop)
    }

    /// The same, and gives back what was attached; the file of an image stays open and locked until that is dropped. With [`attach_medium`](Self::attach_medium) the disk that the
    /// embedder made, with all that the guest wrote to it.
    ///
    /// ```
    /// use std::any::Any;
    /// use vm_fdc::{Controller, drive::DriveType, media::{Geometry, SectorDisk}};
    ///
    /// let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
    /// let a = fdc.drive(0)?;
    /// a.attach_medium(SectorDisk::formatted(Geometry::HD_1440K, 0xF6))?;
    /// let medium: Box<dyn Any> = a.release_medium()?;
    /// let disk = medium.downcast::<SectorDisk>().expect("what was attached");
    /// assert_eq!(disk.to_raw(Geometry::HD_1440K)?.len(), 1_474_560);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`release_image`](Self::release_image).
    pub fn release_medium(&self) -> Result<Box<dyn Medium>, ReleaseError> {
        self.bay.release(Attachment::Image)
    }

    /// Releases the attached host drive.
    ///
    /// # Errors
    ///
    /// As [`release_image`](Self::release_image).
    pub fn release_host_drive(&self) -> Result<(), ReleaseError> {
        self.bay.release(Attachment::HostDrive).map(drop)
    }
}
