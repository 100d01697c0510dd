//! The handles by which managers reach the drives of a virtual machine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    AttachError, Attachment, Bay, DataLoss, DriveType, MediaObserver, NoSuchDrive, ReleaseError, SaveError, SwapError,
};
use crate::media::{self, IfExists, ImageOptions, ImageType, Layout, Medium};

/// A drive of a virtual machine, as its manager sees it: what is attached, and the way to change that.
///
/// A handle can be cloned and sent to any thread, and used while the guest runs. It outlives the controller: what
/// needs one then answers that the virtual machine is gone. The methods and their outcomes are those of
/// `IVMFloppyDrive`, and a few more.
///
/// No method waits for the guest to do something, and the guest waits for none of them longer than it takes to hand bytes
/// over to the host: files are opened, and the host's disk is waited for, while the guest goes on. What only asks waits
/// for nobody. What changes something waits for the transfer that is under way, and, where [every
/// command](crate::media::Durability::EveryCommand) is to last, for the disk that this waits for. Two methods that change what is attached wait for each other.
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
        self.bay.number()
    }

    /// What kind of drive it is.
    #[must_use]
    pub fn drive_type(&self) -> DriveType {
        self.bay.drive_type()
    }

    /// What is attached. Nothing is, once the controller is gone.
    #[must_use]
    pub fn attachment(&self) -> Attachment {
        self.bay.label().kind
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
        let label = self.bay.label();
        label.path.filter(|_| label.kind == kind)
    }

    /// How the sectors lie on the disk of the attached image or host drive; `None` without one, and for a medium that the
    /// embedder made.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        self.bay.label().layout
    }

    /// What kind of disk the attached image or host drive holds; [`ImageType::Unknown`] without one.
    #[must_use]
    pub fn image_type(&self) -> ImageType {
        self.layout().map_or(ImageType::Unknown, |layout| layout.image_type())
    }

    /// Attaches the raw floppy image in the file `path`. A relative path is taken from the current directory.
    ///
    /// `options` is an [`Access`](crate::media::Access), or [`ImageOptions`] that say more. [The module
    /// `media`](crate::media) tells what others can do to the file meanwhile.
    ///
    /// # Errors
    ///
    /// An [`AttachError`] that says what is wrong with the drive, the path or the file. Nothing has changed then.
    pub fn attach_image(&self, path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<(), AttachError> {
        self.bay.attach_path(path.as_ref(), options.into(), Attachment::Image)
    }

    /// Attaches the floppy drive of the host at `path`: a block device, or a file that stands for one. The drive can be
    /// empty; [`check_host_drive`](Self::check_host_drive) notices when a disk is put in or taken out. A sector that the host
    /// cannot read fails for the guest, and the others do not.
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

    /// Looks whether a disk was put into the attached host drive, or taken out of it, which the guest and the observers then
    /// see. To be called now and then: hosts tell nobody. `true` when a disk is in; `false`, too, when no host drive is
    /// attached. In a device, a disk that was exchanged for one of the same size between two calls is not noticed; what the
    /// guest had written to one that was taken out, and that had not been handed over, is lost, which is logged.
    ///
    /// # Errors
    ///
    /// An [`AttachError`] when a disk is in that cannot be used. The drive stays attached, empty.
    pub fn check_host_drive(&self) -> Result<bool, AttachError> {
        self.bay.check_host_drive()
    }

    /// Attaches a medium that the embedder made, or one that [`release_medium`](Self::release_medium) gave back. It counts as
    /// an image without a file. One that is refused is dropped.
    ///
    /// # Errors
    ///
    /// [`AttachError::VmUnknown`], [`AttachError::DriveInUse`], or [`AttachError::UnsuitableMedium`] for a disk of
    /// another size than the drive's, or with more cylinders.
    pub fn attach_medium(&self, medium: impl Into<Box<dyn Medium>>) -> Result<(), AttachError> {
        self.bay.attach_medium(medium.into())
    }

    /// Releases the attached image: what the guest wrote is brought to the host's disk, then the file is unlocked and let
    /// go. The guest sees the change line.
    ///
    /// # Errors
    ///
    /// A [`ReleaseError`]. After [`ReleaseError::UnmountFailed`] and [`ReleaseError::UnlockFailed`] the image is still
    /// attached, and the release can be repeated, or [forced](Self::force_release), or the disk
    /// [saved to another file](Self::save_image).
    pub fn release_image(&self) -> Result<(), ReleaseError> {
        self.bay.release(Attachment::Image, true).map(drop)
    }

    /// The same, and gives back what was attached; the file of an image stays open and locked until that is dropped. With
    /// [`attach_medium`](Self::attach_medium) the disk that the embedder made, with all that the guest wrote to it.
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
        let drive = self.drive_number();
        self.bay.release(Attachment::Image, false)?.ok_or(ReleaseError::NoMediaCaptured { drive })
    }

    /// Releases the attached host drive, with or without a disk in it.
    ///
    /// # Errors
    ///
    /// As [`release_image`](Self::release_image).
    pub fn release_host_drive(&self) -> Result<(), ReleaseError> {
        self.bay.release(Attachment::HostDrive, true).map(drop)
    }

    /// Releases whatever is attached, even if what the guest wrote cannot be saved; says what may be lost then.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::VmUnknown`] and [`ReleaseError::NoMediaCaptured`].
    pub fn force_release(&self) -> Result<Option<DataLoss>, ReleaseError> {
        self.bay.force_release()
    }

    /// Releases the attached image and attaches another. The guest sees the door open and close. When the new one cannot be
    /// had, the old one stays, and the guest sees nothing. The same image cannot be had again while it is in: release it, and
    /// attach it then.
    ///
    /// # Errors
    ///
    /// A [`SwapError`]: an [`AttachError`] of the new image or a [`ReleaseError`] of the old one, which is still attached.
    pub fn swap_image(&self, path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<(), SwapError> {
        self.bay.swap(path.as_ref(), options.into())
    }

    /// Brings what the guest wrote to the host's disk, and waits for that while the guest goes on.
    ///
    /// # Errors
    ///
    /// [`ReleaseError::VmUnknown`], [`ReleaseError::NoMediaCaptured`] and [`ReleaseError::UnmountFailed`]; all that was
    /// written is kept, and brought there by the next flush or release.
    pub fn flush(&self) -> Result<(), ReleaseError> {
        self.bay.flush()
    }

    /// Saves the disk as it is now to another file, as a raw image: what the guest made of a
    /// [private](crate::media::Access::Private) one, or what a failed release could not save. The file is written under
    /// another name and then renamed: it is there whole, or not at all.
    ///
    /// # Errors
    ///
    /// A [`SaveError`]. What is attached stays so.
    pub fn save_image(&self, path: impl AsRef<Path>, if_exists: IfExists) -> Result<(), SaveError> {
        let image = self.bay.raw_image()?;
        let drive = self.drive_number();
        media::write_file(path.as_ref(), &image, if_exists).map_err(|source| SaveError::Create { drive, source })
    }

    /// Tells `observer` of all that goes into the drive and out of it from now on.
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
        self.bay.observe(Box::new(observer));
    }
}

/// The drives of a virtual machine. Like a [`FloppyDrive`], it outlives the controller.
#[derive(Clone, Debug)]
pub struct FloppyDrives {
    drives: Vec<FloppyDrive>,
}

impl FloppyDrives {
    pub(crate) fn new(drives: impl Iterator<Item = FloppyDrive>) -> Self {
        Self { drives: drives.collect() }
    }

    /// How many drives there are, 0 to 4.
    #[must_use]
    pub fn count(&self) -> usize {
        self.drives.len()
    }

    /// The drive of this number.
    ///
    /// # Errors
    ///
    /// [`NoSuchDrive`] when there is none.
    pub fn item(&self, number: u8) -> Result<FloppyDrive, NoSuchDrive> {
        self.iter().find(|drive| drive.drive_number() == number).cloned().ok_or(NoSuchDrive { number })
    }

    /// All of them, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &FloppyDrive> {
        self.drives.iter()
    }
}
