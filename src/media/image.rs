//! A raw floppy image in a file: the sectors of the disk without a header.

mod bytes;
mod detection;
mod error;
mod file;
mod host;
mod mapping;
mod memory;
mod options;
mod reformat;
mod shared;
mod surface;
mod tracks;
mod xdf;

use std::{fs::File, io, iter, ops::Range, path::Path};

use log::warn;

pub use error::ImageError;
pub(crate) use file::Source;
pub use options::{Access, Durability, ImageOptions, Length, Lock};
pub(crate) use reformat::FormattedTrack;
pub use reformat::{IncompleteFormat, ReformatLimit};
pub use shared::SharedImage;

use super::{
    formats::Layout,
    geometry::{FormFactor, Geometry},
    medium::{Flushing, Medium, MediumError},
    recording::Mark,
    track::{Track, TrackFormat},
};
use bytes::copy_of;
use file::{FileIdentity, LockedFile};
use mapping::Mapping;
use memory::Memory;
use reformat::{Reformat, TrackShape};
use shared::CopyOnWrite;
use surface::Surface;
use tracks::Tracks;

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
/// assert_eq!(image.layout().map(|layout| layout.image_type()), Some(ImageType::HighDensity));
/// # Ok::<(), vm_fdc::media::ImageError>(())
/// ```
#[derive(Debug)]
pub struct Image {
    store: Store,
    surface: Surface,
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
        if options.reformat() && source == Source::HostDrive {
            return Err(ReformatLimit::HostDrive.into());
        }
        let blank = file.length() == 0 && options.reformat() && options.layout().is_none();
        let tracks = if blank { None } else { Some(Tracks::of(detection::layout_of(&file, &options, fits)?)) };
        let disk = tracks.as_ref().map_or(0, |tracks| tracks.layout().bytes());
        if options.reformat() && options.mapping() {
            return Err(ReformatLimit::Mapped.into());
        }
        if options.reformat() && file.length() > disk && file.access() == Access::ReadWrite {
            return Err(ReformatLimit::LongFile.into());
        }
        let length = disk as usize; // At most `MAX_IMAGE_BYTES`.
        // A mapping ends with its file.
        let store = if options.mapping() && file.length() >= disk {
            Mapping::new(file, length, options.durability()).map(Store::Mapped)
        } else {
            // A host drive is slow, and the guest may read only a part of its disk, or only a part may be readable.
            let load_now = source == Source::File;
            let shift = tracks.as_ref().map_or(9, Tracks::block_shift);
            Memory::new(file, length, shift, options.durability(), load_now).map(Store::Memory)
        };
        let surface = Surface::new(tracks, options.reformat());
        Ok(Self { store: store.map_err(ImageError::Load)?, surface, length: options.length(), name: None })
    }

    /// Returns an image of bytes that others share.
    fn of_shared(bytes: CopyOnWrite, tracks: Tracks, length: Length) -> Self {
        Self { store: Store::Shared(bytes), surface: Surface::new(Some(tracks), false), length, name: None }
    }

    /// Names the image: see [`Medium::name`]. A saved state has the name of an image only if that has no path.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Returns how the sectors of the disk are arranged, or `None` if the file is blank and waits for its first format.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        self.surface.disk().map(Tracks::layout)
    }

    /// Returns whether the guest can format the disk in [another layout](ImageOptions::with_reformat).
    #[must_use]
    pub const fn reformat(&self) -> bool {
        self.surface.can_be_reformatted()
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

    // Formats in another layout

    /// Records into which drive the image goes: what its guest can format. Does nothing without the option to reformat.
    pub(crate) fn set_drive(&mut self, form_factor: FormFactor, cylinders: u8) {
        self.surface.set_drive(form_factor, cylinders);
    }

    /// Formats a track as it was: `cylinder` of the disk in the bytes.
    fn fill_track(&mut self, place: (u8, u8), cylinder: u8, filler: u8) -> Result<(), MediumError> {
        let (position, head) = place;
        let tracks = self.surface.disk().ok_or(MediumError::Absent)?;
        let sectors = tracks.track(cylinder, head).map_or(0, |track| track.len());
        let (range, _) = tracks.range(cylinder, head, 0, sectors).ok_or(MediumError::Absent)?;
        match &mut self.store {
            Store::Memory(memory) => memory.fill(range, filler)?,
            Store::Mapped(mapping) => {
                mapping.bytes_mut()?.get_mut(range).ok_or(MediumError::Absent)?.fill(filler);
            }
            Store::Shared(shared) => shared.write(range)?.fill(filler),
        }
        self.surface.discard_track(position, head);
        self.complete_format()
    }

    /// Formats a track in another layout, if that is allowed. The last track of a disk makes the image that disk.
    #[cold]
    fn reformat_track(
        &mut self,
        place: (u8, u8),
        shape: TrackShape,
        in_ids: u8,
        filler: u8,
    ) -> Result<(), MediumError> {
        if self.access() == Access::ReadOnly {
            return Err(MediumError::Unsupported);
        }
        self.surface.format(place, shape, in_ids, filler)?;
        self.complete_format()
    }

    /// Makes the image the disk whose format is complete, if one is.
    fn complete_format(&mut self) -> Result<(), MediumError> {
        let Some(geometry) = self.surface.begun().and_then(Reformat::complete) else { return Ok(()) };
        let bytes = self.assemble(&geometry)?;
        self.replace_disk(geometry.into(), bytes);
        Ok(())
    }

    /// Makes the image another disk.
    fn replace_disk(&mut self, layout: Layout, bytes: Vec<u8>) {
        let tracks = Tracks::of(layout);
        if let Store::Memory(memory) = &mut self.store {
            memory.replace_disk(bytes, tracks.block_shift());
            self.surface.set_disk(tracks);
        }
    }

    /// Returns the raw image of the disk that the formatted tracks make up.
    fn assemble(&mut self, geometry: &Geometry) -> Result<Vec<u8>, MediumError> {
        let (Some(reformat), Store::Memory(memory)) = (self.surface.begun(), &mut self.store) else {
            return Err(MediumError::Unsupported);
        };
        reformat.assemble(geometry, |range, bytes| {
            let all = range.len();
            bytes.extend_from_slice(memory.read(range, all)?);
            Ok(())
        })
    }

    /// Checks that the file has all that the guest wrote: it wrote to no track of a format that is not complete. A private
    /// image keeps its tracks for as long as it exists.
    ///
    /// # Errors
    ///
    /// An [`IncompleteFormat`] in the error of the host.
    pub(crate) fn check_format(&self) -> io::Result<()> {
        let begun = self.surface.begun().filter(|_| self.access() == Access::ReadWrite);
        match begun.map(Reformat::incomplete).filter(|incomplete| incomplete.written > 0) {
            Some(incomplete) => Err(incomplete.into()),
            None => Ok(()),
        }
    }

    /// Ends the formats of the guest, because the image is released: makes the image the disk whose format is complete, if
    /// that failed before. If none is, the image is the old disk again, as long as that loses nothing that the guest wrote.
    ///
    /// # Errors
    ///
    /// Those of [`check_format`](Self::check_format), and those of the host.
    pub(crate) fn end_format(&mut self) -> io::Result<()> {
        match self.complete_format() {
            Err(MediumError::Io(error)) => return Err(error),
            Err(error) => return Err(io::Error::other(error)),
            Ok(()) => self.check_format()?,
        }
        if let Some(reformat) = self.surface.begun().filter(|_| self.access() == Access::ReadWrite) {
            let tracks = reformat.incomplete().tracks;
            warn!("{} keeps its disk: the guest formatted only {tracks} tracks in another layout", self.file().title());
            self.surface.discard_formats();
        }
        Ok(())
    }

    /// Returns the tracks that the guest has formatted in another layout than that of the disk in the file.
    pub(crate) fn formatted_tracks(&self) -> Vec<FormattedTrack> {
        self.surface.begun().map_or_else(Vec::new, |reformat| reformat.formatted().cloned().collect())
    }

    /// Takes the tracks of a saved state. Returns `false` if the guest cannot have formatted them, or the file cannot take what
    /// it writes to them.
    pub(crate) fn restore_formatted(&mut self, tracks: Vec<FormattedTrack>) -> bool {
        (tracks.is_empty() || self.access() != Access::ReadOnly) && self.surface.restore(tracks)
    }

    /// Makes a private image the disk of a saved state, whatever disk it is now. Returns `false`, and changes nothing,
    /// if the guest cannot have made it so.
    pub(crate) fn restore_disk(&mut self, layout: Option<Layout>, bytes: &[u8]) -> bool {
        if layout == self.layout() {
            return bytes.is_empty() && layout.is_none() || self.replace(bytes);
        }
        let possible = self.reformat() && self.access() == Access::Private && self.surface.begun().is_none();
        let layout = layout.filter(|layout| possible && layout.bytes() == bytes.len() as u64);
        let (Some(layout), Ok(copy)) = (layout, copy_of(bytes)) else { return false };
        self.replace_disk(layout, copy);
        true
    }

    /// Returns the bytes of the disk, without the tracks that the guest has formatted in another layout.
    pub(crate) fn disk_in_file(&mut self) -> Result<Vec<u8>, MediumError> {
        match &mut self.store {
            Store::Memory(memory) => Ok(copy_of(memory.whole()?)?),
            Store::Mapped(mapping) => {
                mapping.file().check_length()?;
                Ok(copy_of(mapping.bytes())?)
            }
            Store::Shared(shared) => shared.whole(),
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

impl Medium for Image {
    fn form_factor(&self) -> FormFactor {
        self.surface.form_factor()
    }

    fn cylinders(&self) -> u8 {
        self.surface.cylinders()
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn layout(&self) -> Option<Layout> {
        Self::layout(self)
    }

    fn is_write_protected(&self) -> bool {
        self.access() == Access::ReadOnly
    }

    #[inline]
    fn track(&self, cylinder: u8, head: u8) -> Option<Track<'_>> {
        self.surface.track(cylinder, head)
    }

    fn read(&mut self, cylinder: u8, head: u8, slot: usize, count: usize) -> Result<&[u8], MediumError> {
        let Some((range, sector)) = self.surface.range(cylinder, head, slot, count) else {
            return self.surface.read(cylinder, head, slot, count);
        };
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
        let Some((range, sector)) = self.surface.range(cylinder, head, slot, count) else {
            return self.surface.write(cylinder, head, slot, count);
        };
        match &mut self.store {
            Store::Memory(memory) => memory.write(range, sector),
            Store::Mapped(mapping) => mapping.bytes_mut()?.get_mut(range).ok_or(MediumError::Absent),
            Store::Shared(shared) => shared.write(range),
        }
    }

    fn finish_write(&mut self, cylinder: u8, head: u8, slot: usize, count: usize, _mark: Mark) {
        if let Store::Memory(memory) = &mut self.store
            && let Some((range, _)) = self.surface.range(cylinder, head, slot, count)
        {
            memory.mark_dirty(range);
        }
    }

    /// Fills a track that has the image's own layout. The order of its sectors is not kept. A track of another layout is
    /// taken only with the [option](ImageOptions::with_reformat) to do so.
    fn format_track(&mut self, cylinder: u8, head: u8, format: &TrackFormat<'_>) -> Result<(), MediumError> {
        let (shape, in_ids) = TrackShape::of_format(format, head).ok_or(MediumError::Unsupported)?;
        match self.surface.own_cylinder((cylinder, head), shape, in_ids) {
            Some(own) => self.fill_track((cylinder, head), own, format.filler),
            None => self.reformat_track((cylinder, head), shape, in_ids, format.filler),
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
        self.begin_flush()?.wait()?;
        self.check_format()
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
            Store::Memory(memory) => {
                let formatted = self.surface.begun().filter(|_| self.access() == Access::ReadWrite);
                let mut ranges = memory.unsaved();
                ranges.extend(formatted.map_or_else(Vec::new, |reformat| reformat.unsaved()));
                ranges.sort_by_key(|range| range.start);
                ranges
            }
            Store::Mapped(mapping) if mapping.is_written() => iter::once(0..mapping.bytes().len() as u64).collect(),
            Store::Mapped(_) | Store::Shared(_) => Vec::new(),
        }
    }

    fn raw_image(&mut self) -> Result<Vec<u8>, MediumError> {
        if let Some(reformat) = self.surface.begun() {
            let incomplete = reformat.incomplete();
            return match reformat.complete() {
                Some(geometry) => self.assemble(&geometry),
                None => Err(io::Error::from(incomplete).into()),
            };
        }
        self.disk_in_file()
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
