//! What is attached to a drive, and what managers can ask about it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
};

use crate::{
    media::{Image, ImageOptions, ImageType, Layout, Medium, SectorDisk},
    sync::{Mutex, MutexGuard},
};

/// The kind of what is attached to a drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum Attachment {
    /// Nothing: the drive is empty.
    #[default]
    None = 0,
    /// An image, or a medium that the VM monitor supplies.
    Image = 1,
    /// A floppy drive of the host.
    HostDrive = 2,
}

/// What is attached to a drive, and its medium.
pub(super) enum Attached {
    /// An image in a file.
    Image(Box<Image>),
    /// A disk in memory that was made of the bytes in a saved state. There is no other copy of what the guest writes to it.
    Memory(Box<SectorDisk>),
    /// A medium that the VM monitor supplies.
    Custom(Box<dyn Medium>),
    /// A floppy drive of the host.
    HostDrive(HostDrive),
}

/// An attached floppy drive of the host.
pub(super) struct HostDrive {
    /// The absolute path.
    pub path: PathBuf,
    /// The options for each disk that is put in.
    pub options: ImageOptions,
    /// The disk that is in.
    pub disk: Option<Box<Image>>,
}

impl Attached {
    /// Returns the medium; `None` when no disk is in the host drive.
    #[inline]
    pub fn medium(&self) -> Option<&dyn Medium> {
        match self {
            Self::Image(image) => Some(&**image),
            Self::Memory(disk) => Some(&**disk),
            Self::Custom(medium) => Some(&**medium),
            Self::HostDrive(host) => host.disk.as_deref().map(|disk| disk as &dyn Medium),
        }
    }

    /// Returns the medium to be changed; `None` when no disk is in the host drive.
    #[inline]
    pub fn medium_mut(&mut self) -> Option<&mut (dyn Medium + 'static)> {
        match self {
            Self::Image(image) => Some(&mut **image),
            Self::Memory(disk) => Some(&mut **disk),
            Self::Custom(medium) => Some(&mut **medium),
            Self::HostDrive(host) => host.disk.as_deref_mut().map(|disk| disk as &mut dyn Medium),
        }
    }

    /// Returns the medium alone; `None` when no disk is in the host drive.
    pub fn into_medium(self) -> Option<Box<dyn Medium>> {
        match self {
            Self::Image(image) => Some(image),
            Self::Memory(disk) => Some(disk),
            Self::Custom(medium) => Some(medium),
            Self::HostDrive(host) => host.disk.map(|disk| disk as Box<dyn Medium>),
        }
    }

    /// Checks that a release loses nothing that the guest wrote: no format in another layout is in progress.
    pub fn check_format(&self) -> io::Result<()> {
        match self {
            Self::Image(image) => image.check_format(),
            Self::Memory(_) | Self::Custom(_) | Self::HostDrive(_) => Ok(()),
        }
    }

    /// Ends the formats in another layout, because the medium is released.
    pub fn end_format(&mut self) -> io::Result<()> {
        match self {
            Self::Image(image) => image.end_format(),
            Self::Memory(_) | Self::Custom(_) | Self::HostDrive(_) => Ok(()),
        }
    }

    /// Returns the kind of what is attached, which is never [`Attachment::None`].
    pub fn kind(&self) -> Attachment {
        match self {
            Self::Image(_) | Self::Memory(_) | Self::Custom(_) => Attachment::Image,
            Self::HostDrive(_) => Attachment::HostDrive,
        }
    }

    /// Returns the absolute path of the image or the host drive; `None` for a medium without a file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Image(image) => image.path(),
            Self::Memory(_) | Self::Custom(_) => None,
            Self::HostDrive(host) => Some(&host.path),
        }
    }

    /// Returns what managers can ask.
    pub fn info(&self) -> AttachmentInfo {
        match self {
            Self::Image(image) => AttachmentInfo::Image {
                path: image.path().map(Path::to_owned),
                name: image.name().map(ToOwned::to_owned),
                layout: image.layout(),
            },
            Self::Memory(disk) => AttachmentInfo::of_medium(&**disk),
            Self::Custom(medium) => AttachmentInfo::of_medium(&**medium),
            Self::HostDrive(host) => AttachmentInfo::HostDrive {
                path: host.path.clone(),
                layout: host.disk.as_ref().and_then(|disk| disk.layout()),
            },
        }
    }
}

/// What managers can ask about what is attached.
#[derive(Clone, Debug, Default)]
pub(super) enum AttachmentInfo {
    /// Nothing is attached.
    #[default]
    None,
    /// An image in a file.
    Image {
        /// The absolute path; `None` for a file that was given open.
        path: Option<PathBuf>,
        /// The name of the medium.
        name: Option<String>,
        /// How the sectors lie; `None` for a blank disk.
        layout: Option<Layout>,
    },
    /// A medium without a file, as it describes itself.
    Custom {
        /// The name of the medium.
        name: Option<String>,
        /// How the sectors lie.
        layout: Option<Layout>,
        /// The type of the disk.
        image_type: ImageType,
    },
    /// A floppy drive of the host.
    HostDrive {
        /// The absolute path.
        path: PathBuf,
        /// How the sectors lie; `None` when no disk is in.
        layout: Option<Layout>,
    },
}

impl AttachmentInfo {
    /// Returns what a medium without a file says of itself.
    fn of_medium(medium: &dyn Medium) -> Self {
        Self::Custom {
            name: medium.name().map(ToOwned::to_owned),
            layout: medium.layout(),
            image_type: medium.image_type(),
        }
    }

    /// Returns the kind of what is attached.
    pub fn kind(&self) -> Attachment {
        match self {
            Self::None => Attachment::None,
            Self::Image { .. } | Self::Custom { .. } => Attachment::Image,
            Self::HostDrive { .. } => Attachment::HostDrive,
        }
    }

    /// Returns how the sectors lie; `None` where nobody knows.
    pub fn layout(&self) -> Option<Layout> {
        match self {
            Self::None => None,
            Self::Image { layout, .. } | Self::Custom { layout, .. } | Self::HostDrive { layout, .. } => *layout,
        }
    }

    /// Returns the type of the disk.
    pub fn image_type(&self) -> ImageType {
        match self {
            Self::Custom { image_type, .. } => *image_type,
            _ => self.layout().map_or(ImageType::Unknown, |layout| layout.image_type()),
        }
    }

    /// Returns the name of the medium.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Image { name, .. } | Self::Custom { name, .. } => name.as_deref(),
            Self::None | Self::HostDrive { .. } => None,
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::None | Self::Custom { .. } => None,
            Self::Image { path, .. } => path.as_deref(),
            Self::HostDrive { path, .. } => Some(path),
        }
    }
}

/// What is attached to each drive of a controller, for those who only ask. All drives of a controller share it, so that the
/// error for a file that is in use can name the drive that has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attachments(Arc<Mutex<[AttachmentInfo; 4]>>);

impl Attachments {
    fn lock(&self) -> MutexGuard<'_, [AttachmentInfo; 4]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is attached to drive `number`, 0 to 3.
    pub(super) fn get(&self, number: u8) -> AttachmentInfo {
        self.lock().get(usize::from(number)).cloned().unwrap_or_default()
    }

    /// Records what is attached to drive `number`, 0 to 3.
    pub(super) fn set(&self, number: u8, info: AttachmentInfo) {
        if let Some(place) = self.lock().get_mut(usize::from(number)) {
            *place = info;
        }
    }

    /// Returns the drive to which the file at `path` is attached, under whatever name.
    pub(super) fn holder_of(&self, path: &Path) -> Option<u8> {
        // The host is asked with nothing locked.
        let attached = self.lock().clone();
        let holders = (0..).zip(&attached).filter(|(_, info)| info.path().is_some_and(|held| is_same_file(held, path)));
        holders.map(|(number, _)| number).next()
    }
}

/// Checks whether two paths lead to one file, as far as the host tells.
fn is_same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        identity(a).is_some_and(|a| identity(b) == Some(a))
    }
    #[cfg(not(unix))]
    {
        let identity = |path: &Path| fs::canonicalize(path).ok();
        identity(a).is_some_and(|a| identity(b) == Some(a))
    }
}
