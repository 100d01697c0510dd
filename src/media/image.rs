//! A raw floppy image in a file: the sectors of the disk without a header.

mod detection;
mod error;
mod file;
mod host;
mod mapping;
mod memory;
mod options;
mod shared;
mod xdf;

use std::{fs::File, io, iter, ops::Range, path::Path, sync::Arc};

pub use error::ImageError;
pub(crate) use file::Source;
pub use options::{Access, Durability, ImageOptions, Length, Lock};
pub use shared::SharedImage;

use super::{
    formats::Layout,
    geometry::{FormFactor, Geometry},
    medium::{Flushing, Medium, MediumError},
    recording::{Encoding, Mark, SectorId},
    track::{Track, TrackFormat},
};
use file::{FileIdentity, LockedFile};
use mapping::Mapping;
use memory::Memory;
use shared::CopyOnWrite;
use xdf::MixedTrack;

/// A raw image in a file: `.img`, `.vfd`, `.ima`, `.flp`.
///
/// The file stays open and locked until the value is dropped. Sectors are read and written in place in memory, without
/// a copy. [The module `media`](super) says what others can do to the file meanwhile.
///
/// ```
/// use vm_fdc::media::{Access, Geometry, Image, ImageOptions, ImageType};
///
/// // Two formats have this size. A drive takes only one of them; here the caller chooses.
/// let options = ImageOptions::new(Access::ReadOnly).with_geometry(Geometry::HD_1440K);
/// let image = Image::open("fixtures/dos-1440k.img", options)?;
/// assert_eq!(image.layout().image_type(), ImageType::HighDensity);
/// # Ok::<(), vm_fdc::media::ImageError>(())
/// ```
#[derive(Debug)]
pub struct Image {
    store: Store,
    tracks: Tracks,
    /// How the length of the file was allowed to differ from that of the disk.
    length: Length,
    name: Option<String>,
}

/// Where the bytes of the image are.
#[derive(Debug)]
enum Store {
    Memory(Memory),
    Mapped(Mapping),
    Shared(CopyOnWrite),
}

/// Where the sectors are in those bytes.
#[derive(Clone, Debug)]
enum Tracks {
    Regular(Geometry),
    Mixed(Layout, Arc<[MixedTrack]>),
}

impl Tracks {
    fn of(layout: Layout) -> Self {
        match layout {
            Layout::Regular(geometry) => Self::Regular(geometry),
            Layout::Xdf => Self::Mixed(layout, xdf::tracks_3_5().into()),
            Layout::Xdf5_25 => Self::Mixed(layout, xdf::tracks_5_25().into()),
        }
    }

    /// Returns the binary logarithm of the number of bytes that divides the size and the offset of every sector.
    const fn block_shift(&self) -> u32 {
        match self {
            Self::Regular(geometry) => geometry.size_shift(),
            Self::Mixed(..) => xdf::BLOCK_SHIFT,
        }
    }
}

impl Image {
    /// Opens the image in the file `path`, for any drive. [`attach_image`](crate::FloppyDrive::attach_image) opens an
    /// image for one drive, and needs fewer options.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] if the file cannot be opened or locked, or if its size is that of no layout or of several.
    pub fn open(path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<Self, ImageError> {
        Self::open_for(path.as_ref(), options.into(), Source::File, |_| true)
    }

    /// Opens the image in a file that is open, such as a descriptor from another process (`OwnedFd`), an anonymous file, or
    /// a file in a folder that this process cannot reach. [`attach_file`](crate::FloppyDrive::attach_file) opens it for one
    /// drive.
    ///
    /// The file is open for reads, and for writes if the access is [`Access::ReadWrite`]. It has no path: the library does
    /// not notice when its name is deleted or given to another file. [`with_name`](Self::with_name) names it for a saved
    /// state. The lock belongs to the open file, and all its duplicates share it.
    ///
    /// ```
    /// use std::fs::File;
    /// use vm_fdc::media::{Access, Geometry, Image, ImageOptions};
    ///
    /// let file = File::open("fixtures/dos-1440k.img")?;
    /// let options = ImageOptions::new(Access::Private).with_geometry(Geometry::HD_1440K);
    /// let image = Image::from_file(file, options)?.with_name("the first disk");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and [`ImageError::Open`] if the file is not open for what the access needs.
    pub fn from_file(file: impl Into<File>, options: impl Into<ImageOptions>) -> Result<Self, ImageError> {
        Self::from_file_for(file.into(), options.into(), |_| true)
    }

    /// Opens the image in an open file, for a drive that takes the layouts for which `fits` is true.
    pub(crate) fn from_file_for(
        file: File,
        options: ImageOptions,
        fits: impl Fn(&Layout) -> bool,
    ) -> Result<Self, ImageError> {
        let (file, source) = LockedFile::from_file(file, &options)?;
        Self::of_file(file, options, source, fits)
    }

    /// Opens the image in the file or host drive `path`, for a drive that takes the layouts for which `fits` is true.
    pub(crate) fn open_for(
        path: &Path,
        options: ImageOptions,
        source: Source,
        fits: impl Fn(&Layout) -> bool,
    ) -> Result<Self, ImageError> {
        Self::of_file(LockedFile::open(path, &options, source)?, options, source, fits)
    }

    fn of_file(
        file: LockedFile,
        options: ImageOptions,
        source: Source,
        fits: impl Fn(&Layout) -> bool,
    ) -> Result<Self, ImageError> {
        let layout = layout_of(&file, &options, fits)?;
        let tracks = Tracks::of(layout);
        let length = layout.bytes() as usize; // At most `MAX_IMAGE_BYTES`.
        // A mapping ends with its file.
        let store = if options.mapping() && file.length() >= layout.bytes() {
            Mapping::new(file, length, options.durability()).map(Store::Mapped)
        } else {
            // A host drive is slow, and the guest may read only a part of its disk, or only a part may be readable.
            let load_now = source == Source::File;
            Memory::new(file, length, tracks.block_shift(), options.durability(), load_now).map(Store::Memory)
        };
        Ok(Self { store: store.map_err(ImageError::Load)?, tracks, length: options.length(), name: None })
    }

    /// Returns an image of bytes that others share.
    fn of_shared(bytes: CopyOnWrite, tracks: Tracks, length: Length) -> Self {
        Self { store: Store::Shared(bytes), tracks, length, name: None }
    }

    /// Names the image: see [`Medium::name`]. A saved state has the name of an image only if that has no path.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Returns how the sectors of the disk are arranged.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        match &self.tracks {
            Tracks::Regular(geometry) => Layout::Regular(*geometry),
            Tracks::Mixed(layout, _) => *layout,
        }
    }

    /// Returns what the guest can do with the file, which is never [`Access::ReadWriteIfPermitted`].
    #[must_use]
    pub fn access(&self) -> Access {
        match &self.store {
            Store::Shared(shared) => shared.access(),
            Store::Memory(_) | Store::Mapped(_) => self.file().access(),
        }
    }

    /// Returns whether the file was to be locked.
    pub(crate) fn lock(&self) -> Lock {
        self.file().policy()
    }

    /// Returns when what is written lasts.
    pub(crate) fn durability(&self) -> Durability {
        match &self.store {
            Store::Memory(memory) => memory.durability(),
            Store::Mapped(mapping) => mapping.durability(),
            Store::Shared(_) => Durability::default(),
        }
    }

    /// Returns how the length of the file was allowed to differ from that of the disk.
    pub(crate) const fn length(&self) -> Length {
        self.length
    }

    /// Returns the path by which the image was opened, or `None` if an open file was given.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file().path()
    }

    /// Records that the file has writes of another process that may not be on the host's disk. The next flush waits for
    /// them.
    pub(crate) fn mark_unsynced(&mut self) {
        if let Store::Memory(memory) = &mut self.store
            && memory.file().access() == Access::ReadWrite
        {
            memory.mark_unsynced();
        }
    }

    /// Replaces all bytes of a private image in memory. Returns `false`, and changes nothing, if the image is another
    /// or has not as many bytes.
    pub(crate) fn replace(&mut self, bytes: &[u8]) -> bool {
        match &mut self.store {
            Store::Memory(memory) => memory.replace(bytes),
            Store::Shared(shared) => shared.replace(bytes),
            Store::Mapped(_) => false,
        }
    }

    /// Discards what was written and is not stored: the disk is out of the host's drive, and the writes belong to no
    /// other.
    pub(crate) fn discard_writes(&mut self) {
        if let Store::Memory(memory) = &mut self.store {
            memory.discard_writes();
        }
    }

    fn file(&self) -> &LockedFile {
        match &self.store {
            Store::Memory(memory) => memory.file(),
            Store::Mapped(mapping) => mapping.file(),
            Store::Shared(shared) => shared.file(),
        }
    }

    /// Returns what it takes to check whether the disk is still in the host's drive.
    pub(crate) fn file_identity(&self) -> FileIdentity {
        self.file().identity()
    }
}

/// Returns the layout of the disk in a file, for a drive that takes what `fits`.
fn layout_of(file: &LockedFile, options: &ImageOptions, fits: impl Fn(&Layout) -> bool) -> Result<Layout, ImageError> {
    let bytes = file.length();
    if bytes == 0 {
        return Err(ImageError::Empty);
    }
    detection::refuse_container(file, options)?;
    match options.layout() {
        Some(layout) if !options.length().allows(bytes, layout.bytes()) => Err(ImageError::WrongSize { bytes, layout }),
        Some(layout) if !fits(&layout) => Err(ImageError::WrongLayout(layout)),
        Some(layout) => Ok(layout),
        None => detection::layout_of(file, options, fits),
    }
}

/// Returns the range of bytes of the sectors from `slot` on, at most `count` of them and within one cylinder, and the
/// number of bytes in the first.
#[inline]
fn range(tracks: &Tracks, cylinder: u8, head: u8, slot: usize, count: usize) -> Option<(Range<usize>, usize)> {
    match tracks {
        Tracks::Regular(geometry) => {
            let start = geometry.offset(cylinder, head, slot)?;
            let heads = usize::from(geometry.heads() - head);
            let count = count.min(heads * usize::from(geometry.sectors()) - slot);
            Some((start..start + (count << geometry.size_shift()), geometry.sector_size()))
        }
        Tracks::Mixed(_, tracks) => {
            let track = mixed_track(tracks, cylinder, head)?;
            let (start, size) = (*track.offsets.get(slot)?, track.sectors.get(slot)?.id.size()?);
            Some((start..start + size, size))
        }
    }
}

/// Returns a copy of the bytes, or an error if there is no memory for it.
fn copy_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

fn mixed_track(tracks: &[MixedTrack], cylinder: u8, head: u8) -> Option<&MixedTrack> {
    tracks.get(usize::from(cylinder) * 2 + usize::from(head)).filter(|_| head < 2)
}

impl Medium for Image {
    fn form_factor(&self) -> FormFactor {
        self.layout().form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.layout().cylinders()
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn layout(&self) -> Option<Layout> {
        Some(Self::layout(self))
    }

    fn is_write_protected(&self) -> bool {
        self.access() == Access::ReadOnly
    }

    #[inline]
    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        match &self.tracks {
            Tracks::Regular(geometry) => {
                geometry.offset(cylinder, head, 0)?;
                let first = SectorId { cylinder, head, sector: 1, size_code: geometry.size_code() };
                let track = Track::regular(geometry.rate(), first, geometry.sectors());
                Some(if head == 0 && geometry.heads() == 2 { track.on_both_heads() } else { track })
            }
            Tracks::Mixed(layout, tracks) => {
                let sectors = &mixed_track(tracks, cylinder, head)?.sectors;
                Some(Track::listed(layout.rate(), Encoding::Mfm, sectors))
            }
        }
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        let (range, sector) = range(&self.tracks, cylinder, head, slot, count).ok_or(MediumError::Absent)?;
        match &mut self.store {
            Store::Memory(memory) => memory.read(range, sector),
            Store::Mapped(mapping) => mapping.bytes().get(range).ok_or(MediumError::Absent),
            Store::Shared(shared) => shared.read(range),
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
            Store::Shared(shared) => shared.write(range),
        }
    }

    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, _mark: Mark) {
        if let Store::Memory(memory) = &mut self.store
            && let Some((range, _)) = range(&self.tracks, cylinder, head, slot, count)
        {
            memory.mark_dirty(range);
        }
    }

    /// Fills a track that has the image's own geometry. The order of its sectors is not kept, and no other track is
    /// taken.
    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let Tracks::Regular(geometry) = self.tracks else { return Err(MediumError::Unsupported) };
        let sectors = geometry.sectors();
        let mut seen = 0u64;
        for id in format.ids {
            let in_place = (id.cylinder, id.head, id.size_code) == (cylinder, head, geometry.size_code());
            if !in_place || id.sector == 0 || id.sector > sectors {
                return Err(MediumError::Unsupported);
            }
            seen |= 1 << id.sector;
        }
        let complete = format.ids.len() == usize::from(sectors) && seen.count_ones() == u32::from(sectors);
        let recording = (format.rate, format.encoding, format.size_code);
        let same_recording = recording == (geometry.rate(), Encoding::Mfm, geometry.size_code());
        if !complete || !same_recording || format.cut_short {
            return Err(MediumError::Unsupported);
        }
        let (range, _) = range(&self.tracks, cylinder, head, 0, sectors.into()).ok_or(MediumError::Absent)?;
        match &mut self.store {
            Store::Memory(memory) => memory.fill(range, format.filler),
            Store::Mapped(mapping) => {
                mapping.bytes_mut()?.get_mut(range).ok_or(MediumError::Absent)?.fill(format.filler);
                Ok(())
            }
            Store::Shared(shared) => {
                shared.write(range)?.fill(format.filler);
                Ok(())
            }
        }
    }

    fn commit(&mut self) -> io::Result<()> {
        match &mut self.store {
            Store::Memory(memory) => memory.commit(),
            Store::Mapped(mapping) => mapping.commit(),
            Store::Shared(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.begin_flush()?.wait()
    }

    fn begin_flush(&mut self) -> io::Result<Flushing> {
        match &mut self.store {
            Store::Memory(memory) => memory.begin_flush(),
            Store::Mapped(mapping) => mapping.begin_flush(),
            Store::Shared(_) => Ok(Flushing::done()),
        }
    }

    fn unsaved(&self) -> Vec<Range<u64>> {
        match &self.store {
            Store::Memory(memory) => memory.unsaved(),
            Store::Mapped(mapping) if mapping.is_written() => iter::once(0..self.layout().bytes()).collect(),
            Store::Mapped(_) | Store::Shared(_) => Vec::new(),
        }
    }

    fn raw_image(&mut self) -> Result<Vec<u8>, MediumError> {
        match &mut self.store {
            Store::Memory(memory) => Ok(copy_of(memory.whole()?)?),
            Store::Mapped(mapping) => {
                mapping.file().check_length()?;
                Ok(copy_of(mapping.bytes())?)
            }
            Store::Shared(shared) => shared.whole(),
        }
    }

    fn unlock(&mut self) -> io::Result<()> {
        match &mut self.store {
            Store::Memory(memory) => memory.unlock(),
            Store::Mapped(mapping) => mapping.unlock(),
            // Others share the file.
            Store::Shared(_) => Ok(()),
        }
    }
}
