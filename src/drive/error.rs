//! The outcomes of the drive layer: an error for each thing that can be asked of it, with the HRESULT that
//! `IVMFloppyDrive` gives for it.

use std::{error::Error, fmt, io, ops::Range, path::PathBuf};

use super::{Attachment, DriveType};
use crate::media::{CreateError, FormFactor, ImageError, MediumError};

/// An outcome as a COM caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HResult(pub u32);

impl HResult {
    /// It worked.
    pub const S_OK: Self = Self(0x0000_0000);
    /// The virtual machine that the drive belonged to is gone.
    pub const VM_E_VM_UNKNOWN: Self = Self(0xA004_0207);
    /// What is attached is not of the kind to be released.
    pub const VM_E_MEDIA_WRONG_TYPE: Self = Self(0xA004_0728);
    /// Nothing is attached.
    pub const VM_E_NO_MEDIA_CAPTURED: Self = Self(0xA004_0652);
    /// The image could not be attached.
    pub const VM_E_IMAGE_CAPTURE_FAIL: Self = Self(0xA004_0650);
    /// Something is attached already.
    pub const VM_E_DRIVE_IN_USE: Self = Self(0xA004_0727);
    /// What the guest wrote could not be brought to the host's file.
    pub const VM_E_MEDIA_UNMOUNT_FAIL: Self = Self(0xA004_0508);
    /// The argument is not usable.
    pub const E_INVALIDARG: Self = Self(0x8007_0057);
    /// Out of memory.
    pub const E_OUTOFMEMORY: Self = Self(0x8007_000E);
    /// The path is too long.
    pub const ERROR_BUFFER_OVERFLOW: Self = Self(0x8007_006F);
    /// The path has a character that no path of the host has.
    pub const ERROR_INVALID_NAME: Self = Self(0x8007_007B);
    /// The path is empty.
    pub const ERROR_BAD_PATHNAME: Self = Self(0x8007_00A1);
    /// A null argument, which only the C interface can be given.
    pub const E_POINTER: Self = Self(0x8000_4003);
    /// There is no drive of that number.
    pub const DISP_E_BADINDEX: Self = Self(0x8002_000B);
    /// Any other failure, which nobody expects.
    pub const DISP_E_EXCEPTION: Self = Self(0x8002_0009);
}

macro_rules! hresult_of {
    ($($error:ident)*) => {$(
        impl From<&$error> for HResult {
            fn from(error: &$error) -> Self {
                error.hresult()
            }
        }
    )*};
}

hresult_of! { AttachError ReleaseError SwapError SaveError CreateError NoSuchDrive }

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010X}", self.0)
    }
}

/// Why a medium was not attached. The drive is as it was before. What it prints says what failed; why is in
/// [`source`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The drive's controller is gone.
    #[error("drive {drive}: its virtual machine is gone")]
    VmUnknown {
        /// The number of the drive.
        drive: u8,
    },
    /// Something is attached already.
    #[error("drive {drive}: a medium is attached already")]
    DriveInUse {
        /// The number of the drive.
        drive: u8,
    },
    /// The path is empty.
    #[error("drive {drive}: the path is empty")]
    EmptyPath {
        /// The number of the drive.
        drive: u8,
    },
    /// The path has a character that no path of the host has, such as NUL.
    #[error("drive {drive}: {path:?} is no path of this host")]
    InvalidPath {
        /// The number of the drive.
        drive: u8,
        /// The path as it was given.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The path is longer than the host takes.
    #[error("drive {drive}: the path or a name in it is too long, {} bytes in all", .path.as_os_str().len())]
    PathTooLong {
        /// The number of the drive.
        drive: u8,
        /// The absolute path.
        path: PathBuf,
    },
    /// The host has no memory left to hold the image.
    #[error("drive {drive}: out of memory for {}", .path.display())]
    OutOfMemory {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// The file is no image that this drive can take.
    #[error("drive {drive} ({drive_type}): cannot attach {}{}", .path.display(), ButThese(.suitable))]
    CaptureFailed {
        /// The number of the drive.
        drive: u8,
        /// What kind of drive it is.
        drive_type: DriveType,
        /// The absolute path of the image.
        path: PathBuf,
        /// What is wrong with the file.
        source: ImageError,
        /// The drives that could take it, where it is the drive that is wrong.
        suitable: Vec<DriveType>,
    },
    /// The path leads to no floppy drive of the host with a disk that this drive can take.
    #[error("drive {drive} ({drive_type}): cannot attach the host drive {}{}", .path.display(), ButThese(.suitable))]
    NoHostDrive {
        /// The number of the drive.
        drive: u8,
        /// What kind of drive it is.
        drive_type: DriveType,
        /// The absolute path of the host drive.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
        /// The drives that could take its disk, where it is the drive that is wrong.
        suitable: Vec<DriveType>,
    },
    /// The medium that the embedder made is none that this drive can take.
    #[error("drive {drive} ({drive_type}): cannot take a {form_factor} disk of {cylinders} cylinders{}", ButThese(.suitable))]
    UnsuitableMedium {
        /// The number of the drive.
        drive: u8,
        /// What kind of drive it is.
        drive_type: DriveType,
        /// The size of the disk.
        form_factor: FormFactor,
        /// Its cylinders.
        cylinders: u8,
        /// The drives that could take it.
        suitable: Vec<DriveType>,
    },
}

impl AttachError {
    /// The error for what the host answered when `path` was opened as a `kind`.
    pub(super) fn opening(
        drive: u8,
        drive_type: DriveType,
        kind: Attachment,
        path: PathBuf,
        source: ImageError,
    ) -> Self {
        match source {
            ImageError::Open(source) if source.kind() == io::ErrorKind::InvalidInput => {
                Self::InvalidPath { drive, path, source }
            }
            ImageError::Open(error) if error.kind() == io::ErrorKind::InvalidFilename => {
                Self::PathTooLong { drive, path }
            }
            ImageError::Open(source) | ImageError::Load(source) if source.kind() == io::ErrorKind::OutOfMemory => {
                Self::OutOfMemory { drive, path, source }
            }
            source => {
                let suitable = match &source {
                    ImageError::WrongDrive { candidates, .. } => {
                        DriveType::all_that(|drive| candidates.iter().any(|format| drive.accepts(format.layout)))
                    }
                    ImageError::WrongLayout(layout) => DriveType::all_that(|drive| drive.accepts(*layout)),
                    _ => Vec::new(),
                };
                match kind {
                    Attachment::HostDrive => Self::NoHostDrive { drive, drive_type, path, source, suitable },
                    _ => Self::CaptureFailed { drive, drive_type, path, source, suitable },
                }
            }
        }
    }

    /// The outcome as `IVMFloppyDrive::AttachImage` and `AttachHostDrive` give it.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        match self {
            Self::VmUnknown { .. } => HResult::VM_E_VM_UNKNOWN,
            Self::DriveInUse { .. } => HResult::VM_E_DRIVE_IN_USE,
            Self::EmptyPath { .. } => HResult::ERROR_BAD_PATHNAME,
            Self::InvalidPath { .. } => HResult::ERROR_INVALID_NAME,
            Self::PathTooLong { .. } => HResult::ERROR_BUFFER_OVERFLOW,
            Self::OutOfMemory { .. } => HResult::E_OUTOFMEMORY,
            Self::CaptureFailed { .. } => HResult::VM_E_IMAGE_CAPTURE_FAIL,
            Self::NoHostDrive { .. } | Self::UnsuitableMedium { .. } => HResult::E_INVALIDARG,
        }
    }
}

/// Why a medium was not released. What is attached stays so; with the controller gone, nothing is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The drive's controller is gone, and the medium with it.
    #[error("drive {drive}: its virtual machine is gone")]
    VmUnknown {
        /// The number of the drive.
        drive: u8,
    },
    /// A host drive is attached where an image was to be released, or the other way round.
    #[error("drive {drive}: what is attached is not of this kind")]
    WrongMediaType {
        /// The number of the drive.
        drive: u8,
    },
    /// Nothing is attached.
    #[error("drive {drive}: nothing is attached")]
    NoMediaCaptured {
        /// The number of the drive.
        drive: u8,
    },
    /// What the guest wrote could not be brought to the host's file. The medium stays attached; release it again.
    #[error("drive {drive}: cannot save what was written{}", Of(.path.as_ref()))]
    UnmountFailed {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image; `None` for a medium that the embedder made.
        path: Option<PathBuf>,
        /// What the host said.
        source: io::Error,
    },
    /// All was saved, but the file could not be unlocked. The medium stays attached; release it again.
    #[error("drive {drive}: cannot unlock the file{}", Of(.path.as_ref()))]
    UnlockFailed {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image; `None` for a medium that the embedder made.
        path: Option<PathBuf>,
        /// What the host said.
        source: io::Error,
    },
}

impl ReleaseError {
    /// The outcome as `IVMFloppyDrive::ReleaseImage` and `ReleaseHostDrive` give it.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        match self {
            Self::VmUnknown { .. } => HResult::VM_E_VM_UNKNOWN,
            Self::WrongMediaType { .. } => HResult::VM_E_MEDIA_WRONG_TYPE,
            Self::NoMediaCaptured { .. } => HResult::VM_E_NO_MEDIA_CAPTURED,
            Self::UnmountFailed { .. } | Self::UnlockFailed { .. } => HResult::VM_E_MEDIA_UNMOUNT_FAIL,
        }
    }
}

/// Why an image was not swapped for another. The old one stays attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwapError {
    /// The new one cannot be had.
    #[error(transparent)]
    Attach(AttachError),
    /// The old one cannot be released.
    #[error(transparent)]
    Release(ReleaseError),
}

impl SwapError {
    /// The outcome as `IVMFloppyDrive` gives it for the part that failed.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        match self {
            Self::Attach(error) => error.hresult(),
            Self::Release(error) => error.hresult(),
        }
    }
}

/// Why what is in a drive was not saved to another file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The drive's controller is gone, and the medium with it.
    #[error("drive {drive}: its virtual machine is gone")]
    VmUnknown {
        /// The number of the drive.
        drive: u8,
    },
    /// No medium is attached, or no disk is in the host drive.
    #[error("drive {drive}: there is nothing to save")]
    NoMediaCaptured {
        /// The number of the drive.
        drive: u8,
    },
    /// The medium did not give its bytes.
    #[error("drive {drive}: cannot read the whole disk")]
    Unreadable {
        /// The number of the drive.
        drive: u8,
        /// Why.
        source: MediumError,
    },
    /// The file could not be written.
    #[error("drive {drive}: cannot save the disk")]
    Create {
        /// The number of the drive.
        drive: u8,
        /// Why.
        source: CreateError,
    },
}

impl SaveError {
    /// The nearest outcome of `IVMFloppyDrive`, which has no such method.
    #[must_use]
    pub fn hresult(&self) -> HResult {
        match self {
            Self::VmUnknown { .. } => HResult::VM_E_VM_UNKNOWN,
            Self::NoMediaCaptured { .. } => HResult::VM_E_NO_MEDIA_CAPTURED,
            Self::Unreadable { source: MediumError::Io(error), .. } if is(error, io::ErrorKind::OutOfMemory) => {
                HResult::E_OUTOFMEMORY
            }
            Self::Unreadable { .. } => HResult::DISP_E_EXCEPTION,
            Self::Create { source, .. } => source.hresult(),
        }
    }
}

impl CreateError {
    /// The nearest outcome of `IVMFloppyDrive`, which creates nothing.
    #[must_use]
    pub fn hresult(&self) -> HResult {
        match self {
            Self::NoName { .. } => HResult::ERROR_BAD_PATHNAME,
            Self::NoFat { .. } | Self::Label { .. } => HResult::E_INVALIDARG,
            Self::OutOfMemory => HResult::E_OUTOFMEMORY,
            Self::Io { source, .. } if is(source, io::ErrorKind::InvalidInput) => HResult::ERROR_INVALID_NAME,
            Self::Io { source, .. } if is(source, io::ErrorKind::InvalidFilename) => HResult::ERROR_BUFFER_OVERFLOW,
            Self::Exists { .. } | Self::Io { .. } => HResult::DISP_E_EXCEPTION,
        }
    }
}

fn is(error: &io::Error, kind: io::ErrorKind) -> bool {
    error.kind() == kind
}

/// What a forced release may have lost.
#[derive(Debug, thiserror::Error)]
#[error("drive {drive}: {} that were written may be lost{}", Bytes(.ranges), Of(.path.as_ref()))]
pub struct DataLoss {
    /// The number of the drive.
    pub drive: u8,
    /// The absolute path of the image; `None` for a medium that the embedder made.
    pub path: Option<PathBuf>,
    /// Where in the image the guest wrote what may not be in the file, in ascending order; empty when the medium cannot
    /// tell.
    pub ranges: Vec<Range<u64>>,
    /// Why the medium could not be saved.
    pub source: io::Error,
}

impl DataLoss {
    /// The outcome that a release which is not forced gives for it.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        HResult::VM_E_MEDIA_UNMOUNT_FAIL
    }
}

/// How many bytes, as far as that is known.
struct Bytes<'a>(&'a [Range<u64>]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.iter().map(|range| range.end - range.start).sum::<u64>() {
            0 => f.write_str("bytes"),
            bytes => write!(f, "up to {bytes} bytes"),
        }
    }
}

/// An error and what caused it, on one line.
pub(crate) struct WithCauses<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// " of PATH", where there is a path.
struct Of<'a>(Option<&'a PathBuf>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |path| write!(f, " of {}", path.display()))
    }
}

/// ", which fits DRIVES", where there are any.
struct ButThese<'a>(&'a [DriveType]);

impl fmt::Display for ButThese<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, drive_type) in self.0.iter().enumerate() {
            write!(f, "{}{drive_type}", if index == 0 { ", which fits a drive for " } else { ", " })?;
        }
        Ok(())
    }
}

/// There is no drive of this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no drive {number}")]
pub struct NoSuchDrive {
    /// The number that was asked for.
    pub number: u8,
}

impl NoSuchDrive {
    /// The outcome as a collection of drives gives it.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        HResult::DISP_E_BADINDEX
    }
}
