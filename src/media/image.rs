//! A raw floppy image in a file: the sectors of the disk without a header.

use std::{io, iter, ops::Range, path::Path};

use super::{
    Encoding, Flushing, FormFactor, Format, Geometry, Layout, Mark, Medium, MediumError, SectorId, Track, TrackFormat,
    file::{LockedFile, Presence, Source},
    mapping::Mapping,
    memory::Memory,
    xdf::{self, MixedTrack},
};

/// What may happen to the file of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Access {
    /// The guest's writes go to the file. The file is locked against every other use.
    #[default]
    ReadWrite,
    /// The disk is write protected. The file may be read by others.
    ReadOnly,
    /// The guest can write and sees what it wrote; the file never changes. The file may be read by others.
    Private,
}

/// Where the bytes of an image are while it is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Backing {
    /// In memory of the library's own.
    #[default]
    Memory,
    /// In the file itself.
    Mapped,
}

/// What a command that wrote has done when it ends. A release brings all to the host's disk before it lets go of the file,
/// whatever is chosen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Durability {
    /// Each command that wrote hands its sectors to the host before it ends: they outlive this process. At the release, or
    /// a [`flush`](crate::FloppyDrive::flush), they go to the host's disk.
    #[default]
    AtRelease,
    /// Each command that wrote waits until its sectors are on the host's disk: they outlive the host. What the disk takes
    /// for that, the guest waits.
    EveryCommand,
    /// Nothing is handed over before the release or a [`flush`](crate::FloppyDrive::flush). For an image that is
    /// [mapped](ImageOptions::mapped) the same as [`AtRelease`](Self::AtRelease).
    OnFlush,
}

/// How an image is opened. Made from an [`Access`] where no more is to be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageOptions {
    access: Access,
    layout: Option<Layout>,
    boot_sector: bool,
    backing: Backing,
    durability: Durability,
}

impl ImageOptions {
    /// Opens for `access`, with the layout that the size of the file tells, in memory, and durable at the release.
    #[must_use]
    pub const fn new(access: Access) -> Self {
        Self { access, layout: None, boot_sector: false, backing: Backing::Memory, durability: Durability::AtRelease }
    }

    /// Names the geometry, whatever the size of the file would tell. The file must have exactly its size.
    #[must_use]
    pub const fn geometry(self, geometry: Geometry) -> Self {
        self.layout(Layout::Regular(geometry))
    }

    /// Names the layout, whatever the size of the file would tell. The file must have exactly its size.
    #[must_use]
    pub const fn layout(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self
    }

    /// Where several formats have the size of the file, takes the one whose sectors a track and heads are those of the BIOS
    /// parameter block in the first sector. A guest can have written that.
    #[must_use]
    pub const fn trust_boot_sector(mut self) -> Self {
        self.boot_sector = true;
        self
    }

    /// Maps the file into memory, rather than to read it into memory of the library's own: nothing is read before it is
    /// used, and no command that wrote makes a call to the host. [The module `media`](super) compares the two.
    ///
    /// # Safety
    ///
    /// For as long as the image is open, nobody but the library writes to the file, or truncates it: no other program, and no
    /// other part of this one. A read of what was cut off ends the process (SIGBUS on Unix).
    #[allow(unsafe_code)]
    #[must_use]
    pub const unsafe fn mapped(mut self) -> Self {
        self.backing = Backing::Mapped;
        self
    }

    /// Chooses when what is written lasts.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

impl ImageOptions {
    pub(crate) const fn access(&self) -> Access {
        self.access
    }

    pub(crate) const fn durability_chosen(&self) -> Durability {
        self.durability
    }

    /// The layout that was named, and whether the boot sector may break a tie.
    pub(crate) const fn detection(&self) -> (Option<Layout>, bool) {
        (self.layout, self.boot_sector)
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
    /// Several formats have an image of this size; [`ImageOptions::layout`] can name the one that is meant.
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
    /// The layout that was named does not go into this drive.
    #[error("the drive cannot take a disk of {0}")]
    WrongLayout(Layout),
    /// The layout that was named asks for a file of another size.
    #[error("the file has {bytes} bytes; a disk of {layout} has {}", .layout.bytes())]
    WrongSize {
        /// The size of the file.
        bytes: u64,
        /// The layout that was named.
        layout: Layout,
    },
    /// The file could not be taken up: mapped, or read into memory.
    #[error("cannot take the file into memory")]
    Load(#[source] io::Error),
}

fn list(formats: &[&Format]) -> String {
    formats.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// A raw image in a file: `.img`, `.vfd`, `.ima`, `.flp`.
///
/// The file stays open and locked until the value is dropped. Sectors are read and written where they are in memory,
/// without a copy.
///
/// ```
/// use vm_fdc::media::{Access, Geometry, Image, ImageOptions, ImageType};
///
/// // A drive would tell which of the two disks of this size is meant; here the caller does.
/// let options = ImageOptions::new(Access::ReadOnly).geometry(Geometry::HD_1440K);
/// let image = Image::open("fixtures/dos-1440k.img", options)?;
/// assert_eq!(image.layout().image_type(), ImageType::HighDensity);
/// # Ok::<(), vm_fdc::media::ImageError>(())
/// ```
#[derive(Debug)]
pub struct Image {
    store: Store,
    tracks: Tracks,
}

/// Where the bytes are.
#[derive(Debug)]
enum Store {
    Memory(Memory),
    Mapped(Mapping),
}

/// Where the sectors are.
#[derive(Debug)]
enum Tracks {
    Regular(Geometry),
    Xdf(Vec<MixedTrack>),
}

impl Image {
    /// Opens the image in the file `path`, for any drive. Through a drive,
    /// [`attach_image`](crate::FloppyDrive::attach_image) does it with less to say.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] for a file that cannot be had, or whose size tells no layout or more than one.
    pub fn open(path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<Self, ImageError> {
        Self::open_for(path.as_ref(), options.into(), Source::File, |_| true)
    }

    /// Opens the image in the file `path`, for a drive that takes what `fits`.
    pub(crate) fn open_for(
        path: &Path,
        options: ImageOptions,
        source: Source,
        fits: impl Fn(&Layout) -> bool,
    ) -> Result<Self, ImageError> {
        let file = LockedFile::open(path, options.access, source)?;
        let bytes = file.length();
        if bytes == 0 {
            return Err(ImageError::Empty);
        }
        let layout = match options.layout {
            Some(layout) if layout.bytes() != bytes => return Err(ImageError::WrongSize { bytes, layout }),
            Some(layout) if !fits(&layout) => return Err(ImageError::WrongLayout(layout)),
            Some(layout) => layout,
            None => layout_of(&file, options.boot_sector, fits)?,
        };
        let (tracks, shift) = match layout {
            Layout::Regular(geometry) => (Tracks::Regular(geometry), geometry.size_shift()),
            Layout::Xdf => (Tracks::Xdf(xdf::tracks()), 9),
        };
        let store = match options.backing {
            // A drive is slow, and part of its disk may be all that is wanted, or all that can be read.
            Backing::Memory => Memory::new(file, shift, options.durability, source == Source::File).map(Store::Memory),
            Backing::Mapped => Mapping::new(file, options.durability).map(Store::Mapped),
        };
        Ok(Self { store: store.map_err(ImageError::Load)?, tracks })
    }

    /// How the sectors of the disk lie.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        match &self.tracks {
            Tracks::Regular(geometry) => Layout::Regular(*geometry),
            Tracks::Xdf(_) => Layout::Xdf,
        }
    }

    /// What may happen to the file.
    #[must_use]
    pub fn access(&self) -> Access {
        self.file().access()
    }

    /// The path by which it was opened.
    pub(crate) fn path(&self) -> &Path {
        self.file().path()
    }

    /// Another process has written to the file, and may not have brought that to the host's disk.
    pub(crate) fn distrust(&mut self) {
        if let Store::Memory(memory) = &mut self.store
            && memory.file().access() == Access::ReadWrite
        {
            memory.distrust();
        }
    }

    /// Makes all bytes of a private image what they were. `false` when they are not as many.
    pub(crate) fn replace(&mut self, bytes: &[u8]) -> bool {
        match &mut self.store {
            Store::Memory(memory) => memory.replace(bytes),
            Store::Mapped(_) => false,
        }
    }

    /// The disk is out of the host's drive, and what was written to it belongs on no other.
    pub(crate) fn forget_what_was_written(&mut self) {
        if let Store::Memory(memory) = &mut self.store {
            memory.forget();
        }
    }

    fn file(&self) -> &LockedFile {
        match &self.store {
            Store::Memory(memory) => memory.file(),
            Store::Mapped(mapping) => mapping.file(),
        }
    }

    /// What it takes to see whether the disk is still in the drive of the host.
    pub(crate) fn presence(&self) -> Presence {
        self.file().presence()
    }
}

/// Where the sectors from `slot` on are, at most `count` of them and within a cylinder, and how long the first is.
#[inline]
fn range(tracks: &Tracks, cylinder: u8, head: u8, slot: usize, count: usize) -> Option<(Range<usize>, usize)> {
    match tracks {
        Tracks::Regular(geometry) => {
            let start = geometry.offset(cylinder, head, slot)?;
            let sides = usize::from(geometry.heads() - head);
            let count = count.min(sides * usize::from(geometry.sectors()) - slot);
            Some((start..start + (count << geometry.size_shift()), geometry.sector_size()))
        }
        Tracks::Xdf(tracks) => {
            let track = side_of(tracks, cylinder, head)?;
            let (start, size) = (*track.offsets.get(slot)?, track.sectors.get(slot)?.id.size()?);
            Some((start..start + size, size))
        }
    }
}

/// A copy, where there is memory for one.
fn copy_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

fn side_of(tracks: &[MixedTrack], cylinder: u8, head: u8) -> Option<&MixedTrack> {
    tracks.get(usize::from(cylinder) * 2 + usize::from(head)).filter(|_| head < 2)
}

/// The one layout that an image of this size can have in a drive that takes what `fits`.
fn layout_of(file: &LockedFile, boot_sector: bool, fits: impl Fn(&Layout) -> bool) -> Result<Layout, ImageError> {
    let bytes = file.length();
    let candidates: Vec<_> = Format::of_size(bytes).collect();
    if candidates.is_empty() {
        return Err(ImageError::UnknownSize { bytes, candidates: Format::nearest(bytes, fits) });
    }
    let mut suitable: Vec<_> = candidates.iter().map(|format| format.layout).filter(|layout| fits(layout)).collect();
    // That of an XDF disk does not tell it from one of 23 sectors a track.
    if suitable.len() > 1 && boot_sector && !suitable.contains(&Layout::Xdf) {
        let parameters = BiosParameters::read(file);
        suitable.retain(|layout| parameters.is_some_and(|parameters| parameters.are_of(layout)));
    }
    match suitable[..] {
        [layout] => Ok(layout),
        [] if !candidates.iter().any(|format| fits(&format.layout)) => {
            Err(ImageError::WrongDrive { bytes, candidates })
        }
        _ => Err(ImageError::AmbiguousSize { bytes, candidates }),
    }
}

/// What the BIOS parameter block in the first sector says of the layout.
#[derive(Clone, Copy)]
struct BiosParameters {
    bytes_per_sector: u16,
    sectors_per_track: u16,
    heads: u16,
}

impl BiosParameters {
    fn read(file: &LockedFile) -> Option<Self> {
        let mut sector = [0; 512];
        file.read_at(&mut sector, 0).ok()?;
        let word = |at: usize| u16::from_le_bytes([sector[at], sector[at + 1]]);
        Some(Self { bytes_per_sector: word(0x0B), sectors_per_track: word(0x18), heads: word(0x1A) })
    }

    fn are_of(self, layout: &Layout) -> bool {
        layout.geometry().is_some_and(|geometry| {
            usize::from(self.bytes_per_sector) == geometry.sector_size()
                && self.sectors_per_track == u16::from(geometry.sectors())
                && self.heads == u16::from(geometry.heads())
        })
    }
}

impl Medium for Image {
    fn form_factor(&self) -> FormFactor {
        self.layout().form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.layout().cylinders()
    }

    fn is_write_protected(&self) -> bool {
        self.access() == Access::ReadOnly
    }

    #[inline]
    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        match &self.tracks {
            Tracks::Regular(geometry) => {
                geometry.offset(cylinder, head, 0)?;
                let first = SectorId { cylinder, head, record: 1, size_code: geometry.size_code() };
                let track = Track::regular(geometry.rate(), first, geometry.sectors());
                Some(if head == 0 && geometry.heads() == 2 { track.on_two_sides() } else { track })
            }
            Tracks::Xdf(tracks) => {
                let sectors = &side_of(tracks, cylinder, head)?.sectors;
                Some(Track::listed(Layout::Xdf.rate(), Encoding::Mfm, sectors))
            }
        }
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        let (range, sector) = range(&self.tracks, cylinder, head, slot, count).ok_or(MediumError::Absent)?;
        match &mut self.store {
            Store::Memory(memory) => memory.read(range, sector),
            Store::Mapped(mapping) => mapping.bytes().get(range).ok_or(MediumError::Absent),
        }
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
        let (range, sector) = range(&self.tracks, cylinder, head, slot, count).ok_or(MediumError::Absent)?;
        match &mut self.store {
            Store::Memory(memory) => memory.write(range, sector),
            Store::Mapped(mapping) => mapping.bytes_mut()?.get_mut(range).ok_or(MediumError::Absent),
        }
    }

    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, _mark: Mark) {
        if let Store::Memory(memory) = &mut self.store
            && let Some((range, _)) = range(&self.tracks, cylinder, head, slot, count)
        {
            memory.wrote(range);
        }
    }

    /// Only a track of the image's own geometry can be held. The order of its sectors is not kept.
    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let Tracks::Regular(geometry) = self.tracks else { return Err(MediumError::Unsupported) };
        let sectors = geometry.sectors();
        let mut seen = 0u64;
        for id in format.ids {
            let here = (id.cylinder, id.head, id.size_code) == (cylinder, head, geometry.size_code());
            if !here || id.record == 0 || id.record > sectors {
                return Err(MediumError::Unsupported);
            }
            seen |= 1 << id.record;
        }
        let all = format.ids.len() == usize::from(sectors) && seen.count_ones() == u32::from(sectors);
        let own =
            (format.rate, format.encoding, format.size_code) == (geometry.rate(), Encoding::Mfm, geometry.size_code());
        if !all || !own || format.cut_short {
            return Err(MediumError::Unsupported);
        }
        let (range, _) = range(&self.tracks, cylinder, head, 0, sectors.into()).ok_or(MediumError::Absent)?;
        match &mut self.store {
            Store::Memory(memory) => memory.fill(range, format.filler),
            Store::Mapped(mapping) => {
                mapping.bytes_mut()?.get_mut(range).ok_or(MediumError::Absent)?.fill(format.filler);
                Ok(())
            }
        }
    }

    fn end_of_command(&mut self) -> io::Result<()> {
        match &mut self.store {
            Store::Memory(memory) => memory.end_of_command(),
            Store::Mapped(mapping) => mapping.end_of_command(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.begin_flush()?.wait()
    }

    fn begin_flush(&mut self) -> io::Result<Flushing> {
        match &mut self.store {
            Store::Memory(memory) => memory.begin_flush(),
            Store::Mapped(mapping) => mapping.begin_flush(),
        }
    }

    fn unsaved(&self) -> Vec<Range<u64>> {
        match &self.store {
            Store::Memory(memory) => memory.unsaved(),
            Store::Mapped(mapping) if mapping.is_written() => iter::once(0..mapping.file().length()).collect(),
            Store::Mapped(_) => Vec::new(),
        }
    }

    fn raw_image(&mut self) -> Result<Vec<u8>, MediumError> {
        match &mut self.store {
            Store::Memory(memory) => Ok(copy_of(memory.whole()?)?),
            Store::Mapped(mapping) => {
                mapping.file().check_length()?;
                Ok(copy_of(mapping.bytes())?)
            }
        }
    }

    fn let_go(&mut self) -> io::Result<()> {
        match &mut self.store {
            Store::Memory(memory) => memory.unlock(),
            Store::Mapped(mapping) => mapping.unlock(),
        }
    }
}
