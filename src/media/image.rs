//! A raw floppy image in a file, mapped into memory: the sectors in cylinder, head, sector order, without a header.

use std::{
    fs::{self, File, FileType},
    io,
    ops::Range,
    path::Path,
};

use super::{
    Encoding, FormFactor, Format, Geometry, Mark, Medium, MediumError, SectorId, Track, TrackFormat,
    mapping::{LockedFile, Mapping},
};

/// What may happen to the file of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// The guest's writes go to the file. The file is locked against every other use.
    #[default]
    ReadWrite,
    /// The disk is write protected. The file may be read by others.
    ReadOnly,
    /// The guest can write and sees what it wrote; the file never changes. The file may be read by others.
    Private,
}

/// How an image is opened. Made from an [`Access`] where no more is to be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    access: Access,
    geometry: Option<Geometry>,
}

impl ImageOptions {
    /// Opens for `access`, with the geometry that the size of the file tells.
    #[must_use]
    pub const fn new(access: Access) -> Self {
        Self { access, geometry: None }
    }

    /// Names the geometry, whatever the size of the file would tell. The file must have exactly its size.
    #[must_use]
    pub const fn geometry(mut self, geometry: Geometry) -> Self {
        self.geometry = Some(geometry);
        self
    }
}

impl From<Access> for ImageOptions {
    fn from(access: Access) -> Self {
        Self::new(access)
    }
}

/// Why a file could not be opened as a floppy image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file could not be opened: missing, or no permission.
    #[error("cannot open the file")]
    Open(#[source] io::Error),
    /// A directory, a pipe, or a device where a file is wanted.
    #[error("not a file that holds a disk image")]
    WrongFileType,
    /// Somebody else has it open in a way that rules this access out.
    #[error("the file is in use")]
    InUse,
    /// The file could not be locked.
    #[error("cannot lock the file")]
    Lock(#[source] io::Error),
    /// The file does not tell its size.
    #[error("cannot tell the size of the file")]
    Size(#[source] io::Error),
    /// The file has no bytes; a device has no disk in it.
    #[error("the file is empty")]
    Empty,
    /// No format has an image of this size.
    #[error("{bytes} bytes is the size of no floppy format; nearest: {}", list(.candidates))]
    UnknownSize {
        /// The size of the file.
        bytes: u64,
        /// The formats with the next smaller and the next larger image.
        candidates: Vec<&'static Format>,
    },
    /// Several formats have an image of this size; [`ImageOptions::geometry`] can name the one that is meant.
    #[error("{bytes} bytes is the size of several floppy formats: {}", list(.candidates))]
    AmbiguousSize {
        /// The size of the file.
        bytes: u64,
        /// The formats of that size.
        candidates: Vec<&'static Format>,
    },
    /// Formats have an image of this size, but none that goes into this drive.
    #[error("{bytes} bytes is the size of no format that this drive takes, but of {}", list(.candidates))]
    WrongDrive {
        /// The size of the file.
        bytes: u64,
        /// The formats of that size.
        candidates: Vec<&'static Format>,
    },
    /// The geometry that was named does not go into this drive.
    #[error("the drive cannot take a disk of {0}")]
    WrongGeometry(Geometry),
    /// The geometry that was named asks for a file of another size.
    #[error("the file has {bytes} bytes; a disk of {geometry} has {}", .geometry.bytes())]
    WrongSize {
        /// The size of the file.
        bytes: u64,
        /// The geometry that was named.
        geometry: Geometry,
    },
    /// The file could not be mapped into memory.
    #[error("cannot map the file into memory")]
    Map(#[source] io::Error),
}

fn list(formats: &[&Format]) -> String {
    formats.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// A raw image in a file: `.img`, `.vfd`, `.ima`, `.flp`.
///
/// The file stays open, locked and mapped until the value is dropped. Sectors are read and written in the mapping,
/// without a copy.
///
/// ```
/// use vm_fdc::media::{Access, Geometry, Image, ImageOptions};
///
/// // A drive would tell which of the two disks of this size is meant; here the caller does.
/// let options = ImageOptions::new(Access::ReadOnly).geometry(Geometry::HD_1440K);
/// let image = Image::open("fixtures/dos-1440k.img", options)?;
/// assert_eq!(image.geometry().sectors(), 18);
/// # Ok::<(), vm_fdc::media::ImageError>(())
/// ```
#[derive(Debug)]
pub struct Image {
    mapping: Mapping,
    geometry: Geometry,
}

impl Image {
    /// Opens the image in the file `path`, for any drive. Through a drive,
    /// [`attach_image`](crate::FloppyDrive::attach_image) does it with less to say.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] for a file that cannot be had, or whose size tells no geometry or more than one.
    pub fn open(path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<Self, ImageError> {
        Self::open_for(path.as_ref(), options.into(), FileType::is_file, |_| true)
    }

    /// Opens the image in the file `path`, which must be of a type that `allowed` takes, for a drive that takes what
    /// `fits`.
    pub(crate) fn open_for(
        path: &Path,
        options: ImageOptions,
        allowed: impl Fn(&FileType) -> bool,
        fits: impl Fn(&Geometry) -> bool,
    ) -> Result<Self, ImageError> {
        // Asked before the file is opened, because opening a pipe blocks until its other end opens.
        if !allowed(&fs::metadata(path).map_err(ImageError::Open)?.file_type()) {
            return Err(ImageError::WrongFileType);
        }
        let ImageOptions { access, geometry } = options;
        let writes = access == Access::ReadWrite;
        let file = File::options().read(true).write(writes).open(path).map_err(ImageError::Open)?;
        let file = LockedFile::new(file, access)?;
        let bytes = file.length();
        let geometry = match geometry {
            Some(geometry) if geometry.bytes() != bytes => return Err(ImageError::WrongSize { bytes, geometry }),
            Some(geometry) if !fits(&geometry) => return Err(ImageError::WrongGeometry(geometry)),
            Some(geometry) => geometry,
            None => geometry_of_size(bytes, fits)?,
        };
        Ok(Self { mapping: file.map().map_err(ImageError::Map)?, geometry })
    }

    /// The geometry of the disk.
    #[must_use]
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// What may happen to the file.
    #[must_use]
    pub fn access(&self) -> Access {
        self.mapping.access()
    }

    /// Where the sectors from `slot` on are, at most `count` of them and within a cylinder.
    #[inline]
    fn range(&self, cylinder: u8, head: u8, slot: usize, count: usize) -> Option<Range<usize>> {
        let start = self.geometry.offset(cylinder, head, slot)?;
        let sides = usize::from(self.geometry.heads() - head);
        let count = count.min(sides * usize::from(self.geometry.sectors()) - slot);
        Some(start..start + (count << self.geometry.size_shift()))
    }
}

/// The one geometry that an image of `bytes` bytes can have in a drive that takes what `fits`.
fn geometry_of_size(bytes: u64, fits: impl Fn(&Geometry) -> bool) -> Result<Geometry, ImageError> {
    let candidates: Vec<_> = Format::of_size(bytes).collect();
    if bytes == 0 {
        return Err(ImageError::Empty);
    }
    if candidates.is_empty() {
        return Err(ImageError::UnknownSize { bytes, candidates: Format::nearest(bytes, fits) });
    }
    let mut suitable = candidates.iter().filter_map(|format| format.geometry).filter(fits);
    match (suitable.next(), suitable.next()) {
        (None, _) => Err(ImageError::WrongDrive { bytes, candidates }),
        // A format without a geometry goes into the drives of the one that has its size.
        (Some(geometry), None) if candidates.iter().all(|format| format.geometry.is_some()) => Ok(geometry),
        (Some(_), _) => Err(ImageError::AmbiguousSize { bytes, candidates }),
    }
}

impl Medium for Image {
    fn form_factor(&self) -> FormFactor {
        self.geometry.form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.geometry.cylinders()
    }

    fn is_write_protected(&self) -> bool {
        self.access() == Access::ReadOnly
    }

    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        self.geometry.offset(cylinder, head, 0)?;
        let first = SectorId { cylinder, head, record: 1, size_code: self.geometry.size_code() };
        let track = Track::regular(self.geometry.rate(), first, self.geometry.sectors());
        Some(if head == 0 && self.geometry.heads() == 2 { track.on_two_sides() } else { track })
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        let range = self.range(cylinder, head, slot, count).ok_or(MediumError::Absent)?;
        self.mapping.bytes().get(range).ok_or(MediumError::Absent)
    }

    fn write(
        &mut self,
        cylinder: u8,
        head: u8,
        slot: usize,
        count: usize,
        mark: Mark,
    ) -> Result<&mut [u8], MediumError> {
        if mark != Mark::Data {
            return Err(MediumError::Unsupported);
        }
        let range = self.range(cylinder, head, slot, count).ok_or(MediumError::Absent)?;
        self.mapping.bytes_mut().and_then(|bytes| bytes.get_mut(range)).ok_or(MediumError::Absent)
    }

    /// The bytes are all that there is.
    fn finish_write(&mut self, _cylinder: u8, _head: u8, _slot: usize, _count: usize, _mark: Mark) {}

    /// Only a track of the image's own geometry can be held. The order of its sectors is not kept.
    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let geometry = self.geometry;
        let sectors = geometry.sectors();
        let mut seen = 0u64;
        for id in format.ids {
            let here = (id.cylinder, id.head, id.size_code) == (cylinder, head, geometry.size_code());
            if !here || id.record == 0 || id.record > sectors {
                return Err(MediumError::Unsupported);
            }
            seen |= 1 << id.record;
        }
        let all = format.ids.len() == usize::from(sectors) && seen.count_ones() == sectors.into();
        let own =
            (format.rate, format.encoding, format.size_code) == (geometry.rate(), Encoding::Mfm, geometry.size_code());
        if !all || !own || format.cut_short {
            return Err(MediumError::Unsupported);
        }
        self.write(cylinder, head, 0, sectors.into(), Mark::Data)?.fill(format.filler);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.mapping.flush()
    }
}
