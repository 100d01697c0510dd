//! The saved state of a drive and of its medium: plain structs apart from the live ones, and the conversions both ways.

mod formatted;

use std::{fmt, io, path::PathBuf};

pub use formatted::FormattedTrackV1;

use super::{
    attachment::{Attached, Attachment, HostDrive},
    kind::DriveType,
    slot::MediumId,
};
#[cfg(feature = "serde")]
use crate::saved_state::{bounded_list, optional_image, optional_path, optional_text};
use crate::{
    media::{
        Access, Durability, Format, Image, ImageError, ImageOptions, Layout, Length, Lock, MAX_CYLINDERS, Medium,
        MediumError, SectorDisk, Source,
    },
    saved_state::{InvalidField, MAX_IMAGE_BYTES},
};

/// The most bytes of the name of a medium that is saved.
const MAX_NAME: usize = 255;

/// The most tracks of a disk.
const MAX_TRACKS: usize = 2 * MAX_CYLINDERS as usize;

/// The most sectors that pass the head in a revolution.
const MAX_SECTORS: u16 = 256;

/// How much of the media a saved state holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateOptions {
    contents: bool,
    hash: bool,
}

impl StateOptions {
    /// Creates the options with which images are saved by their paths. Only what has no other copy is inside the state:
    /// images that are private to the guest, and disks that were restored from the bytes in a state.
    #[must_use]
    pub const fn new() -> Self {
        Self { contents: false, hash: false }
    }

    /// Puts the bytes of all media inside the state. Saving fails for a medium that cannot return them as a raw image.
    #[must_use]
    pub const fn with_contents(self) -> Self {
        Self { contents: true, ..self }
    }

    /// Puts a hash of each image inside the state, so that a restore detects that the file is another.
    #[must_use]
    pub const fn with_hash(self) -> Self {
        Self { hash: true, ..self }
    }

    /// Returns whether the bytes of all media are inside the state.
    #[must_use]
    pub const fn contents(&self) -> bool {
        self.contents
    }

    /// Returns whether a hash of each image is inside the state.
    #[must_use]
    pub const fn hash(&self) -> bool {
        self.hash
    }
}

/// The state of a drive, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DriveStateV1 {
    /// The kind of the drive.
    pub drive_type: DriveType,
    /// The cylinder at which the head is, less than [`DriveType::cylinders`].
    pub cylinder: u8,
    /// The place on the track that passes the head next, counted from the index hole, 0 to 256.
    pub next_slot: u16,
    /// The latch behind the disk-change line (§9.5).
    pub disk_changed: bool,
    /// How many media the drive has had, less than 2^55. A command notices by it that the medium is another.
    pub media_count: u64,
    /// What is attached; `None` when nothing is.
    pub medium: Option<MediumStateV1>,
}

/// The state of what is attached to a drive, version 1.
///
/// | what is attached | `attachment` | `path` | `layout` |
/// |---|---|---|---|
/// | an image in a file | `Image` | of the file | of the image |
/// | a blank image in a file | `Image` | of the file | `None` |
/// | a medium without a file | `Image` | `None` | `None` |
/// | a host drive with a disk | `HostDrive` | of the drive | of the disk |
/// | a host drive without a disk | `HostDrive` | of the drive | `None` |
///
/// A medium without a file is one that the VM monitor supplies, also an image in a file that it gave open, or a disk that was restored from the bytes in a state.
/// An image that the guest can reformat has its layout in the state even if the VM monitor gave its file open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MediumStateV1 {
    /// The kind of what is attached, not [`Attachment::None`].
    pub attachment: Attachment,
    /// The name of a medium without a file ([`Medium::name`]), at most 255 bytes.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "optional_text::<_, MAX_NAME>"))]
    pub name: Option<String>,
    /// The absolute path of the image or the host drive.
    #[cfg_attr(feature = "serde", serde(with = "optional_path"))]
    pub path: Option<PathBuf>,
    /// What the guest can do, and what becomes of the file. Only a host drive has `ReadWriteIfPermitted`, which is what was
    /// chosen for each disk; of an image it is what the host permitted. A medium without a file is `ReadOnly` when it is write protected,
    /// and `ReadWrite` otherwise.
    pub access: Access,
    /// When what is written lasts.
    pub durability: Durability,
    /// Whether the file is locked.
    pub lock: Lock,
    /// Whether [`FloppyDrive::set_write_protected`](super::FloppyDrive::set_write_protected) protects the disk.
    pub write_protected: bool,
    /// How the length of the file can differ from that of the disk.
    pub length: Length,
    /// How the sectors lie on the disk.
    pub layout: Option<Layout>,
    /// For a host drive: the layout that was named for each disk that is put in.
    pub named_layout: Option<Layout>,
    /// For a host drive: the boot sector names the layout where the size of the disk does not.
    pub boot_sector_geometry: bool,
    /// Whether the guest can format the image in [another layout](ImageOptions::with_reformat).
    pub reformat: bool,
    /// The tracks that the guest has formatted in another layout than `layout`, at most two for each cylinder
    /// that the drive has (172). The raw image does not have them.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "bounded_list::<_, _, MAX_TRACKS>"))]
    pub formatted: Vec<FormattedTrackV1>,
    /// The bytes of the raw image, if they are inside the state.
    #[cfg_attr(feature = "serde", serde(with = "optional_image"))]
    pub contents: Option<Vec<u8>>,
    /// The hash of the raw image, if it is inside the state: FNV-1a of 64 bits.
    pub hash: Option<u64>,
}

/// Where the medium of a restored drive comes from.
///
/// A medium or an image that the VM monitor supplies keeps its own access and options. What was saved of them applies with
/// [`Reopen`](Self::Reopen) only.
#[non_exhaustive]
pub enum RestoreMedium {
    /// The library opens the file at the saved path with the saved options, in memory of its own even if it was mapped. The
    /// file must hold what it held, if the state has its bytes or a hash; a private image gets the bytes in the state.
    Reopen,
    /// An image that the VM monitor has opened, wherever it is now. If it is private, it gets the bytes in the state, if there
    /// are any; it must have as many, and be in memory.
    Image(Box<Image>),
    /// A medium that the VM monitor supplies.
    Medium(Box<dyn Medium>),
    /// A disk in memory, made of the bytes in the state. What the guest writes to it is saved in no file.
    Contents,
    /// None: the drive is empty, and its change line is set.
    Eject,
}

impl fmt::Debug for RestoreMedium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reopen => f.write_str("Reopen"),
            Self::Image(image) => f.debug_tuple("Image").field(image).finish(),
            Self::Medium(_) => f.write_str("Medium"),
            Self::Contents => f.write_str("Contents"),
            Self::Eject => f.write_str("Eject"),
        }
    }
}

impl From<Box<dyn Medium>> for RestoreMedium {
    fn from(medium: Box<dyn Medium>) -> Self {
        Self::Medium(medium)
    }
}

impl From<Image> for RestoreMedium {
    fn from(image: Image) -> Self {
        Self::Image(Box::new(image))
    }
}

/// The reason why the medium of a saved state cannot be restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreMediumError {
    /// The medium has no file, and the VM monitor does not supply it.
    #[error("the medium{} has no file; the VM monitor has to supply it", Named(.name.as_deref()))]
    NotGiven {
        /// The name of the medium.
        name: Option<String>,
    },
    /// The state has no bytes of the medium.
    #[error("the state has no bytes of the medium; save it with its contents, or supply the medium")]
    NoContents,
    /// The bytes in the state do not tell how the sectors lie on the disk, or no disk in memory can hold them.
    #[error("a disk in memory cannot be made of the {bytes} bytes in the state; supply the medium")]
    UnusableContents {
        /// How many bytes the state has.
        bytes: usize,
    },
    /// The drive cannot hold the medium.
    #[error("the drive cannot hold the medium; supply one of the size of the drive")]
    Unsuitable,
    /// The guest has begun to format the disk in another layout, and the medium cannot hold the tracks.
    #[error(
        "the medium cannot hold the {tracks} tracks that the guest has formatted in another layout; supply the image, \
         open with the option to reformat"
    )]
    FormatInProgress {
        /// The number of tracks.
        tracks: usize,
    },
    /// The file cannot be opened.
    #[error("cannot open {}", .path.display())]
    Open {
        /// The path of the image.
        path: PathBuf,
        /// The cause.
        source: ImageError,
    },
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The path of the image.
        path: PathBuf,
        /// The cause.
        source: MediumError,
    },
    /// The file does not hold the image that was saved.
    #[error("{} does not hold the image that was saved", .path.display())]
    Changed {
        /// The path of the image.
        path: PathBuf,
    },
}

/// Prints " NAME" if there is a name.
struct Named<'a>(Option<&'a str>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |name| write!(f, " {name:?}"))
    }
}

/// The reason why a drive cannot be restored.
#[derive(Debug)]
pub(crate) enum RestoreDriveError {
    /// No drive can have the state.
    Invalid(InvalidField),
    /// The medium cannot be restored.
    Medium(RestoreMediumError),
}

impl From<InvalidField> for RestoreDriveError {
    fn from(error: InvalidField) -> Self {
        Self::Invalid(error)
    }
}

impl From<RestoreMediumError> for RestoreDriveError {
    fn from(error: RestoreMediumError) -> Self {
        Self::Medium(error)
    }
}

impl DriveStateV1 {
    /// Checks that a drive can have the state.
    pub(super) fn validate(&self) -> Result<(), InvalidField> {
        let cylinders = self.drive_type.cylinders();
        if self.cylinder >= cylinders {
            return Err(InvalidField::new("cylinder", format!("{} is not less than {cylinders}", self.cylinder)));
        }
        if self.next_slot > MAX_SECTORS {
            return Err(InvalidField::new("next_slot", format!("{} is more than {MAX_SECTORS}", self.next_slot)));
        }
        if self.media_count >= MediumId::COUNT_LIMIT {
            return Err(InvalidField::new("media_count", format!("{} is not less than 2^55", self.media_count)));
        }
        self.medium.as_ref().map_or(Ok(()), |medium| medium.validate().map_err(|error| error.within("medium")))
    }
}

impl MediumStateV1 {
    /// Returns the state of what is attached. What was written is handed over to the host first, so that its file holds what a
    /// restore expects.
    pub(super) fn save(
        attached: &mut Attached,
        write_protected: bool,
        options: StateOptions,
    ) -> Result<Self, MediumError> {
        if let Some(medium) = attached.medium_mut() {
            // What is handed over need not last: the machine goes on.
            drop(medium.begin_flush()?);
        }
        let mut state = Self { write_protected, ..Self::describe(attached)? };
        let only_copy = matches!(attached, Attached::Memory(_)) || state.access == Access::Private;
        let in_file = state.path.is_some();
        let (contents, hash) = (options.contents || only_copy, options.hash && in_file);
        if attached.medium().is_some() && (contents || hash) {
            let bytes = match attached {
                Attached::Image(image) => image.disk_in_file()?,
                attached => attached.medium_mut().map_or(Ok(Vec::new()), |medium| medium.raw_image())?,
            };
            if bytes.len() > MAX_IMAGE_BYTES {
                return Err(MediumError::Io(io::Error::other(format!("{} bytes are no floppy disk", bytes.len()))));
            }
            state.hash = hash.then(|| hash_of(&bytes));
            state.contents = contents.then_some(bytes);
        }
        Ok(state)
    }

    /// Returns the state of what is attached, without its bytes.
    fn describe(attached: &Attached) -> Result<Self, MediumError> {
        let protected = attached.medium().is_some_and(|medium| medium.is_write_protected());
        let empty = Self {
            attachment: attached.kind(),
            name: None,
            path: attached.path().map(ToOwned::to_owned),
            access: if protected { Access::ReadOnly } else { Access::ReadWrite },
            durability: Durability::default(),
            lock: Lock::Required,
            write_protected: false,
            length: Length::Exact,
            // A medium without a file describes itself again when it is restored.
            layout: attached.path().and_then(|_| attached.info().layout()),
            named_layout: None,
            boot_sector_geometry: false,
            reformat: false,
            formatted: Vec::new(),
            contents: None,
            hash: None,
        };
        Ok(match attached {
            Attached::Image(image) => {
                let (access, durability) = (image.access(), image.durability());
                let name = if image.path().is_none() { name_of(&**image)? } else { None };
                let (reformat, formatted) = (image.reformat(), image.formatted_tracks().into_iter());
                let layout = if reformat { image.layout() } else { empty.layout };
                let formatted = formatted.map(FormattedTrackV1::save).collect();
                let length = image.length();
                Self { access, durability, lock: image.lock(), length, name, layout, reformat, formatted, ..empty }
            }
            Attached::Memory(_) => empty,
            Attached::Custom(medium) => Self { name: name_of(&**medium)?, ..empty },
            Attached::HostDrive(HostDrive { options, .. }) => {
                let (named_layout, boot_sector_geometry) = (options.layout(), options.boot_sector_geometry());
                let (access, durability) = (options.access(), options.durability());
                Self {
                    access,
                    durability,
                    lock: options.lock(),
                    length: options.length(),
                    named_layout,
                    boot_sector_geometry,
                    ..empty
                }
            }
        })
    }

    /// Checks that a drive can have such a medium.
    fn validate(&self) -> Result<(), InvalidField> {
        let host_drive = self.attachment == Attachment::HostDrive;
        match self.attachment {
            Attachment::None => return Err(InvalidField::new("attachment", "a medium that is attached has a kind")),
            Attachment::Image if self.path.is_some() != self.layout.is_some() && !self.reformat => {
                return Err(InvalidField::new(
                    "layout",
                    "an image in a file has a layout, and no other medium has one",
                ));
            }
            Attachment::HostDrive if self.path.is_none() => {
                return Err(InvalidField::new("path", "a host drive has a path"));
            }
            Attachment::Image | Attachment::HostDrive => {}
        }
        if self.name.is_some() && self.path.is_some() {
            return Err(InvalidField::new("name", "only a medium without a file has a name"));
        }
        if self.named_layout.is_some() && !host_drive {
            return Err(InvalidField::new("named_layout", "only a host drive has one"));
        }
        if self.boot_sector_geometry && !host_drive {
            return Err(InvalidField::new("boot_sector_geometry", "only a host drive has one"));
        }
        if self.reformat && host_drive {
            return Err(InvalidField::new("reformat", "only an image has it"));
        }
        if !self.formatted.is_empty() && !self.reformat {
            return Err(InvalidField::new("formatted", "only an image that can be reformatted has tracks"));
        }
        if self.formatted.len() > MAX_TRACKS {
            return Err(InvalidField::new("formatted", format!("more than {MAX_TRACKS} tracks")));
        }
        for (number, track) in self.formatted.iter().enumerate() {
            track.validate().map_err(|error| error.within(format!("formatted[{number}]")))?;
        }
        if self.access == Access::ReadWriteIfPermitted && !host_drive {
            return Err(InvalidField::new("access", "an image is read-write or read-only"));
        }
        let size = self.contents.as_ref().map(|contents| contents.len() as u64);
        match (size, self.layout) {
            (Some(_), None) if host_drive => Err(InvalidField::new("contents", "no disk is in the host drive")),
            (Some(size), Some(layout)) if size != layout.bytes() => {
                Err(InvalidField::new("contents", format!("{size} bytes; the layout has {}", layout.bytes())))
            }
            _ => Ok(()),
        }
    }

    /// Returns what is attached to the restored drive.
    pub(super) fn restore(
        mut self,
        drive_type: DriveType,
        choice: RestoreMedium,
    ) -> Result<Option<Attached>, RestoreMediumError> {
        let formatted = std::mem::take(&mut self.formatted);
        let mut attached = match choice {
            RestoreMedium::Eject => return Ok(None),
            RestoreMedium::Reopen => self.reopen()?,
            RestoreMedium::Contents => Attached::Memory(Box::new(self.disk_in_memory(drive_type)?)),
            RestoreMedium::Medium(medium) => Attached::Custom(medium),
            RestoreMedium::Image(mut image) => {
                // What the guest wrote to a private image is nowhere else.
                if image.access() == Access::Private
                    && self.contents.as_ref().is_some_and(|contents| !self.fill(&mut image, contents))
                {
                    let (path, bytes) = (image.path().map(ToOwned::to_owned), self.contents.map_or(0, |it| it.len()));
                    return Err(match path {
                        Some(path) => RestoreMediumError::Changed { path },
                        None => RestoreMediumError::UnusableContents { bytes },
                    });
                }
                Attached::Image(image)
            }
        };
        let tracks = formatted.len();
        let restored = match &mut attached {
            Attached::Image(image) => {
                drive_type.prepare(image);
                image.restore_formatted(formatted.into_iter().map(FormattedTrackV1::restore).collect())
            }
            _ => formatted.is_empty(),
        };
        if !restored {
            return Err(RestoreMediumError::FormatInProgress { tracks });
        }
        let fits = |medium: &dyn Medium| drive_type.fits(medium.form_factor(), medium.cylinders());
        if attached.medium().is_none_or(fits) { Ok(Some(attached)) } else { Err(RestoreMediumError::Unsuitable) }
    }

    /// Puts the bytes in the state into a private image. Returns `false` if they do not fit.
    fn fill(&self, image: &mut Image, contents: &[u8]) -> bool {
        if self.reformat { image.restore_disk(self.layout, contents) } else { image.replace(contents) }
    }

    /// Opens the image or the host drive at the saved path.
    fn reopen(self) -> Result<Attached, RestoreMediumError> {
        let Some(path) = self.path.clone() else { return Err(RestoreMediumError::NotGiven { name: self.name }) };
        let options = self.options();
        let image = match self.layout {
            Some(layout) => Some(Box::new(self.open(options.with_layout(layout), path.clone())?)),
            None if self.reformat => Some(Box::new(self.open(options, path.clone())?)),
            None => None,
        };
        match (self.attachment, image) {
            (Attachment::HostDrive, disk) => Ok(Attached::HostDrive(HostDrive { path, options, disk })),
            (_, Some(image)) => Ok(Attached::Image(image)),
            (_, None) => Err(RestoreMediumError::NotGiven { name: self.name }),
        }
    }

    /// Returns the saved options.
    const fn options(&self) -> ImageOptions {
        let mut options = ImageOptions::new(self.access).with_durability(self.durability);
        options = options.with_length(self.length).with_lock(self.lock).with_reformat(self.reformat);
        if let Some(layout) = self.named_layout {
            options = options.with_layout(layout);
        }
        if self.boot_sector_geometry { options.with_boot_sector_geometry() } else { options }
    }

    /// Opens the saved image, and checks that it is the one that was saved.
    fn open(&self, options: ImageOptions, path: PathBuf) -> Result<Image, RestoreMediumError> {
        let source = if self.attachment == Attachment::HostDrive { Source::HostDrive } else { Source::File };
        let reformatted = self.reformat && self.access == Access::Private && self.contents.is_some();
        let opened = match Image::open_for(&path, options, source, |_| true) {
            // The file of a private image is still that of the disk that the guest has reformatted.
            Err(ImageError::WrongSize { .. }) if reformatted => {
                Image::open_for(&path, options.with_length(Length::Fit), source, |_| true)
            }
            Err(ImageError::Empty) if reformatted => Image::open_for(&path, self.options(), source, |_| true),
            opened => opened,
        };
        let mut image = match opened {
            Ok(image) => image,
            Err(source) => return Err(RestoreMediumError::Open { path, source }),
        };
        // The process that saved the state has possibly not waited for the disk of the host.
        image.mark_unsynced();
        let same = match &self.contents {
            Some(contents) if self.access == Access::Private => self.fill(&mut image, contents),
            contents => match self.hash.or(contents.as_deref().map(hash_of)) {
                None => true,
                Some(expected) => match image.raw_image() {
                    Ok(bytes) => hash_of(&bytes) == expected,
                    Err(source) => return Err(RestoreMediumError::Unreadable { path, source }),
                },
            },
        };
        if same { Ok(image) } else { Err(RestoreMediumError::Changed { path }) }
    }

    /// Makes a disk in memory of the bytes in the state. Without a saved layout, their number has to tell it for this kind of
    /// drive.
    fn disk_in_memory(&self, drive_type: DriveType) -> Result<SectorDisk, RestoreMediumError> {
        let contents = self.contents.as_deref().ok_or(RestoreMediumError::NoContents)?;
        let bytes = contents.len();
        let unusable = RestoreMediumError::UnusableContents { bytes };
        let layout = self.layout.or_else(|| {
            let mut layouts = Format::of_size(bytes as u64).map(|format| format.layout);
            let layout = layouts.find(|&layout| drive_type.accepts(layout))?;
            (!layouts.any(|layout| drive_type.accepts(layout))).then_some(layout)
        });
        let geometry = layout.as_ref().and_then(Layout::geometry);
        let disk = geometry.and_then(|&geometry| SectorDisk::from_raw(geometry, contents).ok());
        let mut disk = disk.ok_or(unusable)?;
        disk.set_write_protected(self.access == Access::ReadOnly);
        Ok(disk)
    }
}

/// Returns the name of a medium that the VM monitor supplies.
fn name_of(medium: &dyn Medium) -> Result<Option<String>, MediumError> {
    match medium.name() {
        Some(name) if name.len() > MAX_NAME => {
            let reason = format!("the name of the medium has {} bytes; {MAX_NAME} can be saved", name.len());
            Err(MediumError::Io(io::Error::other(reason)))
        }
        name => Ok(name.map(ToOwned::to_owned)),
    }
}

/// Returns the FNV-1a hash of 64 bits, which is the same on every host.
fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

#[cfg(test)]
mod tests;
