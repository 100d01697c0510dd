//! One copy of an image in memory, for any number of drives and machines.

use std::{ops::Range, path::Path, sync::Arc};

use super::{
    Image,
    bytes::{copy_of, with_capacity},
    detection,
    error::ImageError,
    file::{LockedFile, Source},
    options::{Access, ImageOptions, Length},
    reformat::ReformatLimit,
    tracks::Tracks,
};
use crate::media::{formats::Layout, medium::MediumError};

/// An image whose bytes are in memory once, however many drives have it.
///
/// Open the file once, keep the handle, and attach a [`read_only`](Self::read_only) or a [`private`](Self::private)
/// image of it to each drive, with [`FloppyDrive::attach_opened_image`](crate::FloppyDrive::attach_opened_image). A
/// read-only image takes some hundred bytes of its own, and a private one the cylinders to which its guest writes. The
/// library keeps no list of open images: the handle is how images share.
///
/// All bytes are read when the image is opened. What other programs do to the file later has no effect on any drive. The
/// file stays locked against writers until the handle and all its images are dropped.
///
/// ```
/// use vm_fdc::{Controller, drive::DriveType, media::{Geometry, ImageOptions, SharedImage}};
///
/// let options = ImageOptions::default().with_geometry(Geometry::HD_1440K);
/// let disk = SharedImage::open("fixtures/dos-1440k.img", options)?;
/// let mut machines = Vec::new();
/// for _ in 0..100 {
///     let machine = Controller::builder().drive(0, DriveType::Inch3_5Hd).build()?;
///     machine.drive(0)?.attach_opened_image(disk.private())?;
///     machines.push(machine);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedImage(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes: Vec<u8>,
    layout: Layout,
    tracks: Tracks,
    length: Length,
    file: LockedFile,
}

impl SharedImage {
    /// Opens the image in the file `path`, and reads all of it. Of the options, the access, the mapping and the durability
    /// make no difference: the file is only read.
    ///
    /// # Errors
    ///
    /// Those of [`Image::open`], [`ImageError::Load`] if a part of the file cannot be read, and
    /// [`ImageError::CannotReformat`] with the option to reformat.
    pub fn open(path: impl AsRef<Path>, options: impl Into<ImageOptions>) -> Result<Self, ImageError> {
        let options = options.into().with_access(Access::ReadOnly);
        if options.reformat() {
            return Err(ReformatLimit::Shared.into());
        }
        let file = LockedFile::open(path.as_ref(), &options, Source::File)?;
        let layout = detection::layout_of(&file, &options, |_| true)?;
        let disk = layout.bytes() as usize; // At most `MAX_IMAGE_BYTES`.
        let mut bytes = with_capacity(disk).map_err(ImageError::Load)?;
        bytes.resize(disk, 0);
        let in_file = usize::try_from(file.length()).map_or(disk, |length| length.min(disk));
        file.read_at(&mut bytes[..in_file], 0).map_err(ImageError::Load)?;
        Ok(Self(Arc::new(Shared { bytes, layout, tracks: Tracks::of(layout), length: options.length(), file })))
    }

    /// Returns how the sectors of the disk are arranged.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    /// Returns a write-protected image of the disk.
    #[must_use]
    pub fn read_only(&self) -> Image {
        self.image(Access::ReadOnly)
    }

    /// Returns an image of the disk that keeps to itself what is written to it.
    #[must_use]
    pub fn private(&self) -> Image {
        self.image(Access::Private)
    }

    fn image(&self, access: Access) -> Image {
        let copy = CopyOnWrite { shared: Arc::clone(&self.0), access, cylinders: Vec::new() };
        Image::of_shared(copy, self.0.tracks.clone(), self.0.length)
    }
}

/// The bytes of a [`SharedImage`], with those cylinders of its own that were written.
#[derive(Debug)]
pub(super) struct CopyOnWrite {
    shared: Arc<Shared>,
    access: Access,
    /// Empty until something is written, and then as long as the disk.
    cylinders: Vec<Option<Box<[u8]>>>,
}

impl CopyOnWrite {
    pub(super) fn access(&self) -> Access {
        self.access
    }

    pub(super) fn file(&self) -> &LockedFile {
        &self.shared.file
    }

    /// Returns the number of bytes of a cylinder, which divides that of the disk.
    fn cylinder_bytes(&self) -> usize {
        self.shared.bytes.len() / usize::from(self.shared.layout.cylinders())
    }

    /// Returns bytes within one cylinder.
    #[inline]
    pub(super) fn read(&self, bytes: Range<usize>) -> Result<&[u8], MediumError> {
        if self.cylinders.is_empty() {
            return self.shared.bytes.get(bytes).ok_or(MediumError::Absent);
        }
        let size = self.cylinder_bytes();
        match self.cylinders.get(bytes.start / size) {
            Some(Some(own)) => own.get(bytes.start % size..).and_then(|own| own.get(..bytes.len())),
            _ => self.shared.bytes.get(bytes),
        }
        .ok_or(MediumError::Absent)
    }

    /// Returns bytes within one cylinder, to be changed.
    pub(super) fn write(&mut self, bytes: Range<usize>) -> Result<&mut [u8], MediumError> {
        if self.access != Access::Private {
            return Err(MediumError::Unsupported);
        }
        let size = self.cylinder_bytes();
        let index = bytes.start / size;
        if self.cylinders.is_empty() {
            self.cylinders.resize_with(self.shared.layout.cylinders().into(), || None);
        }
        let own = self.cylinders.get_mut(index).ok_or(MediumError::Absent)?;
        if own.is_none() {
            let shared = self.shared.bytes.get(index * size..(index + 1) * size).ok_or(MediumError::Absent)?;
            *own = Some(copy_of(shared)?.into());
        }
        let own = own.as_deref_mut().and_then(|own| own.get_mut(bytes.start % size..));
        own.and_then(|own| own.get_mut(..bytes.len())).ok_or(MediumError::Absent)
    }

    /// Returns a copy of all bytes.
    pub(super) fn whole(&self) -> Result<Vec<u8>, MediumError> {
        let mut whole = copy_of(&self.shared.bytes)?;
        for (bytes, own) in whole.chunks_mut(self.cylinder_bytes()).zip(&self.cylinders) {
            if let Some(own) = own {
                bytes.copy_from_slice(own);
            }
        }
        Ok(whole)
    }

    /// Replaces all bytes. Returns `false`, and changes nothing, if the image is not private or has not as many bytes.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() != self.shared.bytes.len() || self.access != Access::Private {
            return false;
        }
        let size = self.cylinder_bytes();
        let pairs = bytes.chunks(size).zip(self.shared.bytes.chunks(size));
        self.cylinders = pairs.map(|(new, shared)| (new != shared).then(|| new.into())).collect();
        true
    }
}
