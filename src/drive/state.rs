//! A drive and what is in it at a moment, to be saved with the machine.

use std::path::{Path, PathBuf};

use super::{Attachment, DriveType};
use crate::media::{Access, Durability, Image, ImageError, ImageOptions, Layout, Medium, MediumError, Source};

/// How much of the media is in a saved state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateOptions {
    pub(super) contents: bool,
    pub(super) hash: bool,
}

impl StateOptions {
    /// Images are saved by their paths. Only those that are private to the guest are inside: they are nowhere else.
    #[must_use]
    pub const fn new() -> Self {
        Self { contents: false, hash: false }
    }

    /// All images are inside the state.
    #[must_use]
    pub const fn contents(mut self) -> Self {
        self.contents = true;
        self
    }

    /// A hash of each image is in the state, by which another one is noticed when it is restored.
    #[must_use]
    pub const fn hash(mut self) -> Self {
        self.hash = true;
        self
    }
}

/// What is attached to a drive in a saved state.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MediumState {
    pub(super) kind: Attachment,
    pub(super) path: Option<PathBuf>,
    pub(super) access: Access,
    pub(super) durability: Durability,
    pub(super) layout: Option<Layout>,
    /// The layout that was named, and whether the boot sector may break a tie: for the disks to come in a host drive.
    pub(super) named: Option<Layout>,
    pub(super) boot_sector: bool,
    pub(super) contents: Option<Vec<u8>>,
    pub(super) hash: Option<u64>,
}

impl MediumState {
    /// An image, or a drive of the host.
    #[must_use]
    pub const fn attachment(&self) -> Attachment {
        self.kind
    }

    /// The path of the image or the host drive; `None` for a medium that the embedder made.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// How the sectors lie; `None` where no disk is in the host drive, and for a medium that the embedder made.
    #[must_use]
    pub const fn layout(&self) -> Option<Layout> {
        self.layout
    }

    /// The raw image, if it is inside.
    #[must_use]
    pub fn contents(&self) -> Option<&[u8]> {
        self.contents.as_deref()
    }

    /// It is one that a drive can have.
    fn is_sound(&self) -> bool {
        match self.kind {
            Attachment::None => false,
            Attachment::Image => self.path.is_some() == self.layout.is_some(),
            Attachment::HostDrive => self.path.is_some(),
        }
    }

    /// As it was attached.
    pub(super) const fn options(&self) -> ImageOptions {
        let mut options = ImageOptions::new(self.access).durability(self.durability);
        if let Some(layout) = self.named {
            options = options.layout(layout);
        }
        if self.boot_sector { options.trust_boot_sector() } else { options }
    }

    /// The image that was saved.
    pub(super) fn open(&self) -> Result<Image, RestoreMediumError> {
        let Some(path) = &self.path else { return Err(RestoreMediumError::NotGiven) };
        let source = if self.kind == Attachment::HostDrive { Source::HostDrive } else { Source::File };
        let options = self.layout.map_or_else(|| self.options(), |layout| self.options().layout(layout));
        let open = Image::open_for(path, options, source, |_| true);
        let mut image = open.map_err(|source| RestoreMediumError::Open { path: path.clone(), source })?;
        image.distrust();
        match &self.contents {
            Some(contents) if self.access == Access::Private => {
                if !image.replace(contents) {
                    return Err(RestoreMediumError::Changed { path: path.clone() });
                }
            }
            contents => {
                let unreadable = |source| RestoreMediumError::Unreadable { path: path.clone(), source };
                let expected = self.hash.or(contents.as_deref().map(hash));
                if let Some(expected) = expected
                    && hash(&image.raw_image().map_err(unreadable)?) != expected
                {
                    return Err(RestoreMediumError::Changed { path: path.clone() });
                }
            }
        }
        Ok(image)
    }
}

/// Why the medium of a saved state cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreMediumError {
    /// The embedder made it, and has to give it again.
    #[error("the embedder has not given the medium that it made")]
    NotGiven,
    /// The medium is none that the drive can take.
    #[error("the drive cannot take the medium")]
    Unsuitable,
    /// The file cannot be opened.
    #[error("cannot open {}", .path.display())]
    Open {
        /// The path of the image.
        path: PathBuf,
        /// Why.
        source: ImageError,
    },
    /// The file cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// The path of the image.
        path: PathBuf,
        /// Why.
        source: MediumError,
    },
    /// The file is another than it was.
    #[error("{} is not the image that it was", .path.display())]
    Changed {
        /// The path of the image.
        path: PathBuf,
    },
}

/// FNV-1a, which is the same everywhere.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// A drive at a moment.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct DriveState {
    pub(super) kind: DriveType,
    pub(super) cylinder: u8,
    pub(super) slot: u16,
    pub(super) changed: bool,
    pub(super) disk: u64,
    pub(super) medium: Option<MediumState>,
}

impl DriveState {
    /// It is one that drive `number` can have.
    pub(crate) fn is_sound(&self, number: u8) -> bool {
        // A disk of one drive never has the number of one of another.
        let disk = self.disk >> 56 == u64::from(number) && self.disk & 0xFF_FFFF_FFFF_FFFF < 1 << 55;
        disk && self.medium.as_ref().is_none_or(MediumState::is_sound)
    }

    pub(crate) fn medium(&self) -> Option<&MediumState> {
        self.medium.as_ref()
    }
}
