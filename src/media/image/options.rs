//! How an image is opened: what the caller chooses.

use crate::media::{formats::Layout, geometry::Geometry};

/// What the guest can do with the file of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Access {
    /// The guest's writes go to the file. The file is locked against every other use.
    #[default]
    ReadWrite,
    /// As [`ReadWrite`](Self::ReadWrite) if the host permits the process to write the file, and as
    /// [`ReadOnly`](Self::ReadOnly) if it does not, or if the file system is read-only. [`Image::access`](super::Image::access)
    /// returns which of the two it is.
    ReadWriteIfPermitted,
    /// The disk is write protected. Others can read the file.
    ReadOnly,
    /// The guest can write, and reads what it wrote; the file never changes. Others can read the file.
    Private,
}

/// How far the data of a command that wrote has come when the command ends. Whatever is chosen here, a release stores
/// everything on the host's disk before it unlocks the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Durability {
    /// Each command that wrote hands its sectors to the host before it ends: they outlive this process. A release or a
    /// [`flush`](crate::FloppyDrive::flush) stores them on the host's disk.
    #[default]
    AtRelease,
    /// Each command that wrote waits until its sectors are on the host's disk: they outlive the host. The guest waits
    /// as long as the disk takes.
    EveryCommand,
    /// Nothing is handed to the host before a release or a [`flush`](crate::FloppyDrive::flush). For an image that is
    /// [mapped](ImageOptions::with_mapping) this is the same as [`AtRelease`](Self::AtRelease).
    OnFlush,
}

/// Whether the file of an image is locked while the image is open.
///
/// A lock keeps other machines and other drives from writing to a file that is in use. Some file systems have no locks:
/// network shares and file systems of user programs (FUSE) among them. Two guests that write to one file destroy it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Lock {
    /// The file is locked. A file that cannot be locked is refused.
    #[default]
    Required,
    /// The file is locked if its file system can lock files. A file that another has locked is refused.
    IfSupported,
    /// The file is not locked, whatever others do with it. The VM monitor sees to it that nobody else writes the file.
    None,
}

/// What happens if a file is shorter or longer than its disk.
///
/// Programs that create images often stop after the last sector in use, or add a few bytes. Such a file has the bytes of a
/// disk, but its size does not tell of which one. Without a [layout](ImageOptions::with_layout), the disk is a usual one for
/// the drive: 1.44M, 1.2M, 2.88M, 720K or 360K. A file that is at most 65,536 bytes longer than disks which the drive takes is
/// truncated to the largest of them. Otherwise it is padded to the first of that list which the drive takes and which is
/// larger. [`Pad`](Self::Pad) and [`Truncate`](Self::Truncate) allow one of the two, [`Fit`](Self::Fit) both. A file of the
/// size of a [`Format`](crate::media::Format) that the drive takes is a disk of this format.
///
/// No variant changes the file at the attach. A mapped image that is shorter than its disk is kept in memory of the
/// library.
///
/// ```
/// use vm_fdc::media::{Access, Geometry, Image, ImageOptions, Length};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("rescue.img");
/// std::fs::File::create(&path)?.set_len(1_296_384)?;
/// let options = ImageOptions::new(Access::ReadOnly).with_geometry(Geometry::HD_1440K);
/// let error = Image::open(&path, options).unwrap_err();
/// assert!(error.to_string().contains("Length::Pad"));
/// let image = Image::open(&path, options.with_length(Length::Pad))?;
/// assert_eq!(image.layout().map(|layout| layout.bytes()), Some(1_474_560));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Length {
    /// The file is refused.
    #[default]
    Exact,
    /// What a short file does not have reads as zeros. The file becomes longer when the guest writes there, up to the end
    /// of what it writes. A longer file is refused.
    Pad,
    /// The guest does not see what follows the disk in a long file, and it stays as it is. A shorter file is refused.
    Truncate,
    /// As [`Truncate`](Self::Truncate) for a file that is longer than its disk, and as [`Pad`](Self::Pad) for a shorter
    /// one.
    Fit,
}

impl Length {
    /// Returns whether a file can be shorter than its disk.
    pub(in crate::media) const fn pads(self) -> bool {
        matches!(self, Self::Pad | Self::Fit)
    }

    /// Returns whether a file can be longer than its disk.
    pub(in crate::media) const fn truncates(self) -> bool {
        matches!(self, Self::Truncate | Self::Fit)
    }

    /// Returns whether a file of `file` bytes can hold a disk of `disk` bytes.
    pub(in crate::media) const fn allows(self, file: u64, disk: u64) -> bool {
        file == disk || file < disk && self.pads() || file > disk && self.truncates()
    }
}

/// How an image is opened. An [`Access`] converts into the options with this access and the defaults for the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    access: Access,
    layout: Option<Layout>,
    length: Length,
    lock: Lock,
    boot_sector_geometry: bool,
    mapping: bool,
    durability: Durability,
    reformat: bool,
}

impl ImageOptions {
    /// Returns options with this access. The size of the file tells the layout, the image is in memory of the library,
    /// and what is written is durable at the release.
    #[must_use]
    pub const fn new(access: Access) -> Self {
        Self {
            access,
            layout: None,
            length: Length::Exact,
            lock: Lock::Required,
            boot_sector_geometry: false,
            mapping: false,
            durability: Durability::AtRelease,
            reformat: false,
        }
    }

    /// Sets what the guest can do with the file.
    #[must_use]
    pub const fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Returns what the guest can do with the file.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Sets the layout to that of a geometry. See [`with_layout`](Self::with_layout).
    #[must_use]
    pub const fn with_geometry(self, geometry: Geometry) -> Self {
        self.with_layout(Layout::Regular(geometry))
    }

    /// Sets the layout. The file must have its size, unless a [length](Self::with_length) allows another. Without a
    /// layout, the size of the file tells it.
    #[must_use]
    pub const fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// Returns the layout, or `None` if the size of the file is to tell it.
    #[must_use]
    pub const fn layout(&self) -> Option<Layout> {
        self.layout
    }

    /// Sets what happens if the file is shorter or longer than its disk.
    #[must_use]
    pub const fn with_length(mut self, length: Length) -> Self {
        self.length = length;
        self
    }

    /// Returns what happens if the file is shorter or longer than its disk.
    #[must_use]
    pub const fn length(&self) -> Length {
        self.length
    }

    /// Sets whether the file is locked.
    #[must_use]
    pub const fn with_lock(mut self, lock: Lock) -> Self {
        self.lock = lock;
        self
    }

    /// Returns whether the file is locked.
    #[must_use]
    pub const fn lock(&self) -> Lock {
        self.lock
    }

    /// Lets the boot sector name the layout where the size of the file does not: the numbers of the BIOS parameter block
    /// in the first sector choose between several formats of that size, or make a geometry if no format has it. The
    /// geometry gets the lowest data rate at which its tracks fit and that the drive takes. The numbers must agree with
    /// the size of the file, unless a [length](Self::with_length) allows another. A guest can have written that block.
    ///
    /// ```
    /// use vm_fdc::media::{Access, Image, ImageOptions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("a.img");
    /// // 79 cylinders by 2 heads by 19 sectors of 512 bytes.
    /// let mut disk = vec![0; 79 * 2 * 19 * 512];
    /// disk[0x0B..0x0D].copy_from_slice(&512_u16.to_le_bytes());
    /// disk[0x13..0x15].copy_from_slice(&(79_u16 * 2 * 19).to_le_bytes());
    /// disk[0x18..0x1C].copy_from_slice(&[19, 0, 2, 0]);
    /// std::fs::write(&path, disk)?;
    /// assert!(Image::open(&path, Access::ReadOnly).is_err());
    /// let image = Image::open(&path, ImageOptions::new(Access::ReadOnly).with_boot_sector_geometry())?;
    /// let layout = image.layout().expect("the image is not blank");
    /// assert_eq!(layout.to_string(), "3.5\", 79x2x19 of 512 bytes at 500 kb/s");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn with_boot_sector_geometry(mut self) -> Self {
        self.boot_sector_geometry = true;
        self
    }

    /// Returns whether the boot sector names the layout where the size of the file does not.
    #[must_use]
    pub const fn boot_sector_geometry(&self) -> bool {
        self.boot_sector_geometry
    }

    /// Maps the file into memory instead of reading it into memory of the library. No byte is read before it is used,
    /// and a command that wrote calls nothing of the host. [The module `media`](crate::media) compares the two.
    ///
    /// # Safety
    ///
    /// For as long as the image is open, nobody but the library writes to the file or truncates it: no other program,
    /// and no other part of this one. A read of a truncated part ends the process (SIGBUS on Unix).
    #[allow(unsafe_code)]
    #[must_use]
    pub const unsafe fn with_mapping(mut self) -> Self {
        self.mapping = true;
        self
    }

    /// Returns whether the file is mapped.
    #[must_use]
    pub const fn mapping(&self) -> bool {
        self.mapping
    }

    /// Sets when what is written becomes durable.
    #[must_use]
    pub const fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns when what is written becomes durable.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        self.durability
    }

    /// Lets the guest format the disk in another layout that the drive can write, as `FORMAT A: /F:720` of DOS does with a
    /// disk of 1.44M. Without this option, which is the default, FORMAT TRACK of another layout fails.
    ///
    /// - The tracks that the guest has formatted so are kept in memory of the library, at most as many as a disk has. The
    ///   guest reads and writes them. All other tracks are still those of the old disk.
    /// - With the last track of one of the [`FORMATS`](crate::media::FORMATS) the image becomes that disk: its
    ///   [layout](crate::FloppyDrive::layout) changes, the file gets the bytes and the length of the new disk, and observers
    ///   get [`MediaEvent::Reformatted`](crate::drive::MediaEvent::Reformatted). When the file gets them is chosen by the
    ///   [durability](Self::with_durability). Only then is the rest of the old disk discarded. A format under head 0
    ///   alone is not complete on a disk with two heads. The guest does not see the change line: no disk was
    ///   changed.
    /// - A release with a format that is not complete leaves the old disk in the file, with a warning in the log, if the
    ///   guest wrote nothing to the tracks in the other layout. If it did, the release fails with
    ///   [`IncompleteFormat`](crate::media::IncompleteFormat): let the guest complete the format, or force the release.
    /// - A file of 0 bytes is a blank disk without any track, of the size of the drive. It gets its layout from its first
    ///   format. Its layout is not to be [named](Self::with_layout).
    ///   [`BlankImage::create_unformatted`](crate::media::BlankImage::create_unformatted) creates one.
    ///
    /// The change of a [private](Access::Private) image never reaches its file. An image that is mapped, that
    /// [shares](crate::media::SharedImage) its bytes, that is longer than its disk or that is in a host drive is refused with
    /// [`ImageError::CannotReformat`](crate::media::ImageError::CannotReformat). A file that is shorter than its disk
    /// ([`Length::Pad`]) gets the whole length of the new one.
    ///
    /// ```
    /// use vm_fdc::media::{Access, BlankImage, IfExists, Image, ImageOptions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("blank.img");
    /// BlankImage::create_unformatted(&path, IfExists::Fail)?;
    /// let image = Image::open(&path, ImageOptions::new(Access::ReadWrite).with_reformat(true))?;
    /// assert_eq!(image.layout(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn with_reformat(mut self, reformat: bool) -> Self {
        self.reformat = reformat;
        self
    }

    /// Returns whether the guest can format the disk in another layout.
    #[must_use]
    pub const fn reformat(&self) -> bool {
        self.reformat
    }
}

impl From<Access> for ImageOptions {
    fn from(access: Access) -> Self {
        Self::new(access)
    }
}
