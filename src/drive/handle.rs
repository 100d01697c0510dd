//! The handles with which managers reach the drives of a virtual machine.

use std::{
    fs::File,
    path::{Path, PathBuf},
    slice,
    sync::Arc,
    vec,
};

use super::{
    attachment::{Attachment, AttachmentInfo},
    error::{AttachError, DataLoss, NoSuchDrive, ProtectError, ReleaseError, SaveError, SwapError},
    event::MediaObserver,
    kind::DriveType,
    manage::{self, Manager},
    slot::MediaSlot,
};
use crate::media::{self, IfExists, Image, ImageOptions, ImageType, Layout, Medium, container::ReadOptions};

/// A handle of a drive of a virtual machine, for its manager. It tells what is attached, and changes it.
///
/// A handle can be cloned, sent to any thread, and used while the guest runs. It outlives the controller: a method that needs
/// the controller then returns the error that the virtual machine is gone. The methods and their outcomes are those of
/// `IVMFloppyDrive`, and a few more.
///
/// No method waits for an action of the guest. The guest waits for a method only while bytes are handed over to the host: the
/// guest goes on while a file is opened, and while the library waits for the disk of the host. A method that only asks waits
/// for nobody. A method that changes something waits for the transfer of the guest, and with
/// [`EveryCommand`](crate::media::Durability::EveryCommand) for the disk of the host that this transfer waits for. Two methods
/// that change what is attached wait for each other.
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
    slot: Arc<MediaSlot>,
}

impl FloppyDrive {
    /// Creates a handle for a drive.
    pub(super) fn new(slot: Arc<MediaSlot>) -> Self {
        Self { slot }
    }

    /// Returns the number of the drive, 0 to 3, even when the controller is gone.
    #[must_use]
    pub fn drive_number(&self) -> u8 {
        self.slot.number()
    }

    /// Returns the kind of the drive.
    #[must_use]
    pub fn drive_type(&self) -> DriveType {
        self.slot.drive_type()
    }

    /// Returns the kind of what is attached, which is [`Attachment::None`] when the controller is gone.
    #[must_use]
    pub fn attachment(&self) -> Attachment {
        self.slot.info().kind()
    }

    /// Returns the absolute path of the attached image, as it was at the attach; `None` when no image file is attached.
    #[must_use]
    pub fn image_file(&self) -> Option<PathBuf> {
        match self.slot.info() {
            AttachmentInfo::Image { path, .. } => path,
            _ => None,
        }
    }

    /// Returns the absolute path of the attached host drive; `None` when none is attached.
    #[must_use]
    pub fn host_drive(&self) -> Option<PathBuf> {
        match self.slot.info() {
            AttachmentInfo::HostDrive { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Returns the name of the medium that is attached; `None` if it has none. An image in a file has a path instead.
    #[must_use]
    pub fn medium_name(&self) -> Option<String> {
        self.slot.info().name().map(ToOwned::to_owned)
    }

    /// Returns how the sectors lie on the disk; `None` without a disk, for a blank one, and for a medium of the VM monitor that
    /// does not [say](Medium::layout).
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        self.slot.info().layout()
    }

    /// Returns the type of the disk; [`ImageType::Unknown`] without a disk, and for a medium of the VM monitor that does not
    /// [say](Medium::image_type).
    #[must_use]
    pub fn image_type(&self) -> ImageType {
        self.slot.info().image_type()
    }

    /// Returns whether the disk in the drive is write protected: because the image is open for reads only, because
    /// [`set_write_protected`](Self::set_write_protected) protects it, or because the medium that the VM monitor supplies said
    /// so when it was attached.
    #[must_use]
    pub fn is_write_protected(&self) -> bool {
        self.slot.is_write_protected()
    }

    /// Protects the disk in the drive against writes of the guest, or permits them again, as the switch on a disk does. The
    /// guest sees it at once, in ST3 and in SRA, and the disk stays in. A command that writes in this moment fails at its next
    /// sector. The next disk is not protected.
    ///
    /// ```
    /// use vm_fdc::{Controller, drive::{DriveType, ProtectError}, media::Access};
    ///
    /// let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
    /// let a = fdc.drive(0)?;
    /// a.attach_image("fixtures/dos-1440k.img", Access::Private)?;
    /// a.set_write_protected(true)?;
    /// assert!(a.is_write_protected());
    /// a.set_write_protected(false)?;
    ///
    /// a.swap_image("fixtures/dos-1440k.img", Access::ReadOnly)?;
    /// assert!(matches!(a.set_write_protected(false), Err(ProtectError::ReadOnly { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ProtectError::VmUnknown`], [`ProtectError::NoMediaCaptured`] without a disk, or [`ProtectError::ReadOnly`] if
    /// the disk is to be written and its medium cannot be.
    pub fn set_write_protected(&self, write_protected: bool) -> Result<(), ProtectError> {
        Manager::new(&self.slot).set_write_protected(write_protected)
    }

    /// Attaches the raw floppy image in the file `path`. A relative path starts from the current directory.
    ///
    /// `options` is an [`Access`](crate::media::Access), or [`ImageOptions`] that say more. The module
    /// [`media`](crate::media) describes what other programs can do to the file in the meantime.
    ///
    /// # Errors
    ///
    /// Returns an [`AttachError`] that says what is wrong with the drive, the path or the file. Nothing changes then.
    pub fn attach_image(&self, path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<(), AttachError> {
        Manager::new(&self.slot).attach_path(path.as_ref(), options.into(), Attachment::Image)
    }

    /// Attaches the raw floppy image in a file that is open, such as a descriptor from another process (`OwnedFd`). It counts
    /// as an image without a path; [`Image::from_file`] says what that means.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`attach_image`](Self::attach_image) that are not about the path. The file is closed then.
    pub fn attach_file(&self, file: impl Into<File>, options: impl Into<ImageOptions>) -> Result<(), AttachError> {
        Manager::new(&self.slot).attach_file(file.into(), options.into())
    }

    /// Attaches an image that is open: one of a [`SharedImage`](crate::media::SharedImage), or one from [`Image::open`]. The
    /// image is closed when this fails.
    ///
    /// # Errors
    ///
    /// Returns [`AttachError::VmUnknown`], [`AttachError::DriveInUse`], or [`AttachError::UnsuitableMedium`] for a disk that
    /// the drive does not take.
    pub fn attach_opened_image(&self, image: Image) -> Result<(), AttachError> {
        Manager::new(&self.slot).attach_opened_image(image)
    }

    /// Attaches the floppy drive of the host at `path`: a block device, or a file in its place. The drive can be empty;
    /// [`check_host_drive`](Self::check_host_drive) detects that a disk is put in or taken out. Where the host cannot read a
    /// sector, only that sector fails for the guest.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`attach_image`](Self::attach_image).
    pub fn attach_host_drive(
        &self,
        path: impl AsRef<Path>,
        options: impl Into<ImageOptions>,
    ) -> Result<(), AttachError> {
        Manager::new(&self.slot).attach_path(path.as_ref(), options.into(), Attachment::HostDrive)
    }

    /// Checks whether a disk was put into the attached host drive, or taken out of it. The guest and the observers see the
    /// change. Returns `true` when a disk is in, and `false` when none is, or no host drive is attached.
    ///
    /// Call it at intervals, because the host sends no event. In a device, a disk that is exchanged for one of the same size
    /// between two calls is not detected. When a disk is taken out, what the guest wrote to it and was not handed over to the
    /// host is lost; the loss is logged.
    ///
    /// # Errors
    ///
    /// Returns an [`AttachError`] when a disk is in that the drive cannot hold. The host drive stays attached without a disk.
    pub fn check_host_drive(&self) -> Result<bool, AttachError> {
        Manager::new(&self.slot).check_host_drive()
    }

    /// Attaches a medium that the VM monitor supplies, or that [`release_medium`](Self::release_medium) returned. It counts as
    /// an image without a file. The medium is dropped when this fails.
    ///
    /// # Errors
    ///
    /// Returns [`AttachError::VmUnknown`], [`AttachError::DriveInUse`], or [`AttachError::UnsuitableMedium`] for a disk of
    /// another size, or with more cylinders than the head reaches.
    pub fn attach_medium(&self, medium: impl Into<Box<dyn Medium>>) -> Result<(), AttachError> {
        Manager::new(&self.slot).attach_medium(medium.into())
    }

    /// Attaches the disk in the file `path` of ImageDisk, Teledisk or D88, as
    /// [`DiskFile::open`](crate::media::container::DiskFile::open) reads it. It counts as an image without a file, whose
    /// [name](Self::medium_name) is the absolute path.
    ///
    /// The file does not change and is not locked. What the guest writes is in memory, and lost with the disk: save it
    /// before, with [`save_image`](Self::save_image) as a raw image, or with [`release_medium`](Self::release_medium) and
    /// [`save_image_disk`](crate::media::container::save_image_disk). [`ReadOptions::with_write_protection`] lets the guest
    /// write nothing.
    ///
    /// ```
    /// use vm_fdc::{Controller, drive::DriveType, media::container::ReadOptions};
    ///
    /// let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
    /// let a = fdc.drive(0)?;
    /// a.attach_container("fixtures/teledisk-advanced.td0", ReadOptions::new().with_write_protection(true))?;
    /// assert!(a.is_write_protected());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of [`attach_medium`](Self::attach_medium), those that are about the path, and
    /// [`AttachError::ContainerFailed`].
    pub fn attach_container(&self, path: impl AsRef<Path>, options: ReadOptions) -> Result<(), AttachError> {
        Manager::new(&self.slot).attach_container(path.as_ref(), options)
    }

    /// Releases the attached image: saves what the guest wrote to the disk of the host, then unlocks and closes the file. The
    /// guest sees the change line.
    ///
    /// # Errors
    ///
    /// Returns a [`ReleaseError`]. [`ReleaseError::UnmountFailed`] has an
    /// [`IncompleteFormat`](crate::media::IncompleteFormat) as its source if the guest wrote to tracks of a format in another
    /// layout that is not complete. After it and [`ReleaseError::UnlockFailed`] the image stays attached: repeat the release, [force](Self::force_release) it, or [save the disk to another file](Self::save_image).
    pub fn release_image(&self) -> Result<(), ReleaseError> {
        Manager::new(&self.slot).release(Attachment::Image)
    }

    /// Releases the attached image or medium, and returns it with all that the guest wrote. The file of an image stays open
    /// and locked until the medium is dropped.
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
    /// Returns the errors of [`release_image`](Self::release_image).
    pub fn release_medium(&self) -> Result<Box<dyn Medium>, ReleaseError> {
        Manager::new(&self.slot).release_medium()
    }

    /// Releases the attached host drive, with or without a disk in it.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`release_image`](Self::release_image).
    pub fn release_host_drive(&self) -> Result<(), ReleaseError> {
        Manager::new(&self.slot).release(Attachment::HostDrive)
    }

    /// Releases what is attached, even if what the guest wrote cannot be saved. Returns what can be lost in that case.
    ///
    /// # Errors
    ///
    /// Returns [`ReleaseError::VmUnknown`] or [`ReleaseError::NoMediaCaptured`].
    pub fn force_release(&self) -> Result<Option<DataLoss>, ReleaseError> {
        Manager::new(&self.slot).force_release()
    }

    /// Releases the attached image and attaches another. The guest sees that the disk changed. When the new image cannot be
    /// attached, the old one stays, and the guest sees nothing. An image that is attached for writing cannot be swapped for
    /// itself: release it, and attach it then.
    ///
    /// # Errors
    ///
    /// Returns a [`SwapError`]: an [`AttachError`] for the new image, or a [`ReleaseError`] for the old one, which stays
    /// attached.
    pub fn swap_image(&self, path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<(), SwapError> {
        Manager::new(&self.slot).swap(path.as_ref(), options.into())
    }

    /// Saves what the guest wrote to the disk of the host, and waits until it is saved. The guest goes on in the meantime.
    ///
    /// # Errors
    ///
    /// Returns [`ReleaseError::VmUnknown`], [`ReleaseError::NoMediaCaptured`] or [`ReleaseError::UnmountFailed`], also for an
    /// [`IncompleteFormat`](crate::media::IncompleteFormat). All that the guest wrote is kept, and the next flush or release
    /// tries again.
    pub fn flush(&self) -> Result<(), ReleaseError> {
        Manager::new(&self.slot).flush(None)
    }

    /// Saves the disk as it is now to another file, as a raw image: a [private](crate::media::Access::Private) image with what
    /// the guest wrote, or what a failed release could not save. The file is written under another name and then renamed, so
    /// that it never holds a part of the disk. It is on the disk of the host when this returns, and so is its name.
    ///
    /// With [`IfExists::Replace`] and the attached image itself, under whatever name, this is a [flush](Self::flush): the
    /// image stays attached to its file. A private image replaces its file, and stays attached to the old one.
    ///
    /// # Errors
    ///
    /// Returns a [`SaveError`]. What is attached stays attached. A disk whose format in another layout is not complete is
    /// [`SaveError::Unreadable`], with an [`IncompleteFormat`](crate::media::IncompleteFormat) in the error of the host.
    pub fn save_image(&self, path: impl AsRef<Path>, if_exists: IfExists) -> Result<(), SaveError> {
        if if_exists == IfExists::Replace && manage::is_attached_file(&self.slot, path.as_ref()) {
            return Manager::new(&self.slot).flush(None).map_err(SaveError::from);
        }
        let image = manage::raw_image(&self.slot)?;
        let drive = self.drive_number();
        media::write_file(path.as_ref(), &image, if_exists).map_err(|source| SaveError::Create { drive, source })
    }

    /// Adds an observer, which is told of each medium that is inserted, ejected or reformatted from now on.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use vm_fdc::{Controller, drive::{DriveType, MediaEvent}, media::Access};
    ///
    /// let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
    /// let a = fdc.drive(0)?;
    /// let (sender, events) = mpsc::channel();
    /// a.observe(sender); // or a closure
    /// a.attach_image("fixtures/dos-1440k.img", Access::ReadOnly)?;
    /// assert_eq!(events.recv()?, MediaEvent::Inserted { drive: 0, path: a.image_file() });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe(&self, observer: impl MediaObserver + 'static) {
        Manager::new(&self.slot).observe(Box::new(observer));
    }
}

/// The handles of all drives of a virtual machine. Like a [`FloppyDrive`], they outlive the controller.
///
/// ```
/// use vm_fdc::{Controller, drive::DriveType};
///
/// let fdc = Controller::builder().drive(0, DriveType::Inch3_5Hd).drive(2, DriveType::Inch5_25Hd).build()?;
/// for drive in &fdc.drives() {
///     println!("drive {} is a drive for {} disks", drive.drive_number(), drive.drive_type());
/// }
/// assert_eq!(fdc.drives().get(2)?.drive_type(), DriveType::Inch5_25Hd);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FloppyDrives {
    drives: Vec<FloppyDrive>,
}

impl FloppyDrives {
    /// Creates the collection, from the drives in the order of their numbers.
    pub(crate) fn new(drives: impl Iterator<Item = FloppyDrive>) -> Self {
        Self { drives: drives.collect() }
    }

    /// Returns the number of drives, 0 to 4.
    #[must_use]
    pub fn len(&self) -> usize {
        self.drives.len()
    }

    /// Returns whether there are no drives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drives.is_empty()
    }

    /// Returns the drive with this number.
    ///
    /// # Errors
    ///
    /// Returns [`NoSuchDrive`] when the controller has no such drive.
    pub fn get(&self, number: u8) -> Result<FloppyDrive, NoSuchDrive> {
        self.iter().find(|drive| drive.drive_number() == number).cloned().ok_or(NoSuchDrive { number })
    }

    /// Returns all drives, in the order of their numbers.
    pub fn iter(&self) -> slice::Iter<'_, FloppyDrive> {
        self.drives.iter()
    }
}

impl IntoIterator for FloppyDrives {
    type Item = FloppyDrive;
    type IntoIter = vec::IntoIter<FloppyDrive>;

    fn into_iter(self) -> Self::IntoIter {
        self.drives.into_iter()
    }
}

impl<'a> IntoIterator for &'a FloppyDrives {
    type Item = &'a FloppyDrive;
    type IntoIter = slice::Iter<'a, FloppyDrive>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
