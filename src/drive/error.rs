//! The errors of the drive layer: one type for each operation, each with the HRESULT that `IVMFloppyDrive` gives for it.
//!
//! An error prints what failed, on which drive and file, and what to do. Its cause is in
//! [`source`](std::error::Error::source).

use std::{
    error::Error,
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{attachment::Attachment, hresult::HResult, kind::DriveType};
use crate::media::{CreateError, FormFactor, ImageError, MediumError, container::ContainerError};

macro_rules! hresult_of {
    ($($error:ident)*) => {$(
        impl From<&$error> for HResult {
            fn from(error: &$error) -> Self {
                error.hresult()
            }
        }
    )*};
}

hresult_of! { AttachError ReleaseError SwapError SaveError ProtectError NoSuchDrive }

/// The reason why a medium was not attached. The drive is as before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The controller of the drive is gone.
    #[error("drive {drive}: its virtual machine is gone; use a drive of another one")]
    VmUnknown {
        /// The number of the drive.
        drive: u8,
    },
    /// Something is attached already.
    #[error("drive {drive}: a medium is attached already; release it first, or swap the image")]
    DriveInUse {
        /// The number of the drive.
        drive: u8,
    },
    /// The path is empty.
    #[error("drive {drive}: the path is empty; give the path of an image or a host drive")]
    EmptyPath {
        /// The number of the drive.
        drive: u8,
    },
    /// The path has a character that no path of the host has, such as NUL.
    #[error("drive {drive}: {path:?} has a character that no path of this host has; give another path")]
    InvalidPath {
        /// The number of the drive.
        drive: u8,
        /// The path as it was given.
        path: PathBuf,
        /// The error of the host.
        source: io::Error,
    },
    /// The path is longer than the host takes.
    #[error("drive {drive}: the path of {} bytes, or a name in it, is too long for this host; give a shorter one", .path.as_os_str().len())]
    PathTooLong {
        /// The number of the drive.
        drive: u8,
        /// The absolute path.
        path: PathBuf,
    },
    /// The host has no memory left to hold the image.
    #[error("drive {drive}: cannot attach {}, for which the host has no memory; free some, or map the file", .path.display())]
    OutOfMemory {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image.
        path: PathBuf,
        /// The error of the host.
        source: io::Error,
    },
    /// The file is not an image that the drive can hold.
    #[error("drive {drive} ({drive_type}): cannot attach {}{}{}", .path.display(), SuitableDrives(.suitable), Holder(*.holder, *.drive))]
    CaptureFailed {
        /// The number of the drive.
        drive: u8,
        /// The kind of the drive.
        drive_type: DriveType,
        /// The absolute path of the image.
        path: PathBuf,
        /// What is wrong with the file.
        source: ImageError,
        /// The kinds of drive that can hold it; empty where the drive is not the reason.
        suitable: Vec<DriveType>,
        /// The drive of the same controller to which the file is attached, if that is the reason. It can be this drive.
        holder: Option<u8>,
    },
    /// The file is no container of a disk that the library opens, or it is damaged.
    #[error("drive {drive} ({drive_type}): cannot attach the container {}", .path.display())]
    ContainerFailed {
        /// The number of the drive.
        drive: u8,
        /// The kind of the drive.
        drive_type: DriveType,
        /// The absolute path of the file.
        path: PathBuf,
        /// What is wrong with the file.
        source: ContainerError,
    },
    /// The path does not lead to a floppy drive of the host whose disk the drive can hold.
    #[error("drive {drive} ({drive_type}): cannot attach the host drive {}{}{}", .path.display(), SuitableDrives(.suitable), Holder(*.holder, *.drive))]
    NoHostDrive {
        /// The number of the drive.
        drive: u8,
        /// The kind of the drive.
        drive_type: DriveType,
        /// The absolute path of the host drive.
        path: PathBuf,
        /// What is wrong with it.
        source: ImageError,
        /// The kinds of drive that can hold its disk; empty where the drive is not the reason.
        suitable: Vec<DriveType>,
        /// The drive of the same controller to which it is attached, if that is the reason. It can be this drive.
        holder: Option<u8>,
    },
    /// The drive cannot hold the medium that the VM monitor supplies.
    #[error("drive {drive} ({drive_type}): cannot hold a {form_factor} disk of {cylinders} cylinders{}; attach it to another drive", SuitableDrives(.suitable))]
    UnsuitableMedium {
        /// The number of the drive.
        drive: u8,
        /// The kind of the drive.
        drive_type: DriveType,
        /// The size of the disk.
        form_factor: FormFactor,
        /// The number of its cylinders.
        cylinders: u8,
        /// The kinds of drive that can hold it.
        suitable: Vec<DriveType>,
    },
}

impl AttachError {
    /// Creates the error for an attach of `path` as a `kind` that failed with `source`. `holder` is the drive of the same
    /// controller to which the file is attached, if any.
    pub(super) fn opening(
        drive: u8,
        drive_type: DriveType,
        kind: Attachment,
        path: PathBuf,
        source: ImageError,
        holder: Option<u8>,
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
                        DriveType::suitable(|drive| candidates.iter().any(|format| drive.accepts(format.layout)))
                    }
                    ImageError::WrongLayout(layout) => DriveType::suitable(|drive| drive.accepts(*layout)),
                    _ => Vec::new(),
                };
                match kind {
                    Attachment::HostDrive => Self::NoHostDrive { drive, drive_type, path, source, suitable, holder },
                    _ => Self::CaptureFailed { drive, drive_type, path, source, suitable, holder },
                }
            }
        }
    }

    /// Creates the error for an attach of the container `path` that failed with `source`.
    pub(super) fn opening_container(drive: u8, drive_type: DriveType, path: PathBuf, source: ContainerError) -> Self {
        match source {
            ContainerError::Io(source) if source.kind() == io::ErrorKind::InvalidInput => {
                Self::InvalidPath { drive, path, source }
            }
            ContainerError::Io(error) if error.kind() == io::ErrorKind::InvalidFilename => {
                Self::PathTooLong { drive, path }
            }
            ContainerError::Io(source) if source.kind() == io::ErrorKind::OutOfMemory => {
                Self::OutOfMemory { drive, path, source }
            }
            source => Self::ContainerFailed { drive, drive_type, path, source },
        }
    }

    /// Returns the outcome as `IVMFloppyDrive::AttachImage` and `AttachHostDrive` give it.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        match self {
            Self::VmUnknown { .. } => HResult::VM_E_VM_UNKNOWN,
            Self::DriveInUse { .. } => HResult::VM_E_DRIVE_IN_USE,
            Self::EmptyPath { .. } => HResult::ERROR_BAD_PATHNAME,
            Self::InvalidPath { .. } => HResult::ERROR_INVALID_NAME,
            Self::PathTooLong { .. } => HResult::ERROR_BUFFER_OVERFLOW,
            Self::OutOfMemory { .. } => HResult::E_OUTOFMEMORY,
            Self::CaptureFailed { .. } | Self::ContainerFailed { .. } => HResult::VM_E_IMAGE_CAPTURE_FAIL,
            Self::NoHostDrive { .. } | Self::UnsuitableMedium { .. } => HResult::E_INVALIDARG,
        }
    }
}

/// The reason why a medium was not released. The medium stays attached, unless the controller is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The controller of the drive is gone, and the medium with it.
    #[error("drive {drive}: its virtual machine is gone; use a drive of another one")]
    VmUnknown {
        /// The number of the drive.
        drive: u8,
    },
    /// A host drive is attached and an image was to be released, or the reverse.
    #[error(
        "drive {drive}: a medium of the other kind is attached; release an image as an image, and a host drive as a host drive"
    )]
    WrongMediaType {
        /// The number of the drive.
        drive: u8,
    },
    /// Nothing is attached.
    #[error("drive {drive}: nothing is attached; attach an image or a host drive first")]
    NoMediaCaptured {
        /// The number of the drive.
        drive: u8,
    },
    /// What the guest wrote could not be saved to the file on the host. The medium stays attached.
    #[error("drive {drive}: cannot save what the guest wrote{}; release again, force the release, or save the disk to another file", To(.path.as_ref()))]
    UnmountFailed {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image; `None` for a medium that the VM monitor supplies.
        path: Option<PathBuf>,
        /// The error of the host.
        source: io::Error,
    },
    /// What the guest wrote is saved, but the file could not be unlocked. The medium stays attached.
    #[error("drive {drive}: cannot unlock the medium{}; release again, or force the release", Of(.path.as_ref()))]
    UnlockFailed {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image; `None` for a medium that the VM monitor supplies.
        path: Option<PathBuf>,
        /// The error of the host.
        source: io::Error,
    },
}

impl ReleaseError {
    /// Names the file of the medium in an error that has none yet.
    pub(super) fn of_path(mut self, file: Option<&Path>) -> Self {
        if let Self::UnmountFailed { path, .. } | Self::UnlockFailed { path, .. } = &mut self {
            *path = file.map(Path::to_owned);
        }
        self
    }

    /// Returns the outcome as `IVMFloppyDrive::ReleaseImage` and `ReleaseHostDrive` give it.
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

/// The reason why an image was not swapped for another. The old image stays attached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwapError {
    /// The new image cannot be attached.
    #[error(transparent)]
    Attach(AttachError),
    /// The old image cannot be released.
    #[error(transparent)]
    Release(ReleaseError),
}

impl SwapError {
    /// Returns the outcome as `IVMFloppyDrive` gives it for the part that failed.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        match self {
            Self::Attach(error) => error.hresult(),
            Self::Release(error) => error.hresult(),
        }
    }
}

/// The reason why the disk in a drive was not saved to another file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The controller of the drive is gone, and the medium with it.
    #[error("drive {drive}: its virtual machine is gone; use a drive of another one")]
    VmUnknown {
        /// The number of the drive.
        drive: u8,
    },
    /// No medium is attached, or no disk is in the host drive.
    #[error("drive {drive}: no disk is in the drive, so there is nothing to save; attach one first")]
    NoMediaCaptured {
        /// The number of the drive.
        drive: u8,
    },
    /// No raw image can hold what is on the disk, such as deleted marks, or the medium makes none.
    #[error(
        "drive {drive}: cannot save the disk, because no raw image can hold all that is on it; save the medium in a format of its own"
    )]
    NoRawImage {
        /// The number of the drive.
        drive: u8,
    },
    /// The medium does not return all its bytes.
    #[error(
        "drive {drive}: cannot read the whole disk to save it; save again, and if it fails again, check the file or drive that holds the disk"
    )]
    Unreadable {
        /// The number of the drive.
        drive: u8,
        /// The cause.
        source: MediumError,
    },
    /// The file is that of the attached image itself, and what the guest wrote could not be saved to it.
    #[error("drive {drive}: cannot save what the guest wrote{}; save again, or save the disk to another file", To(.path.as_ref()))]
    Flush {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image.
        path: Option<PathBuf>,
        /// The error of the host.
        source: io::Error,
    },
    /// The file could not be written.
    #[error("drive {drive}: cannot save the disk to another file")]
    Create {
        /// The number of the drive.
        drive: u8,
        /// The cause.
        source: CreateError,
    },
}

impl SaveError {
    /// Returns the nearest outcome of `IVMFloppyDrive`, which has no such method.
    #[must_use]
    pub fn hresult(&self) -> HResult {
        match self {
            Self::VmUnknown { .. } => HResult::VM_E_VM_UNKNOWN,
            Self::NoMediaCaptured { .. } => HResult::VM_E_NO_MEDIA_CAPTURED,
            Self::Unreadable { source: MediumError::Io(error), .. } if error.kind() == io::ErrorKind::OutOfMemory => {
                HResult::E_OUTOFMEMORY
            }
            Self::Flush { .. } => HResult::VM_E_MEDIA_UNMOUNT_FAIL,
            Self::NoRawImage { .. } | Self::Unreadable { .. } => HResult::DISP_E_EXCEPTION,
            Self::Create { source, .. } => HResult::from(source),
        }
    }
}

/// The error of a flush, when the disk is saved to its own file.
impl From<ReleaseError> for SaveError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::VmUnknown { drive } => Self::VmUnknown { drive },
            ReleaseError::NoMediaCaptured { drive } | ReleaseError::WrongMediaType { drive } => {
                Self::NoMediaCaptured { drive }
            }
            ReleaseError::UnmountFailed { drive, path, source }
            | ReleaseError::UnlockFailed { drive, path, source } => Self::Flush { drive, path, source },
        }
    }
}

/// The reason why the write protection of a disk was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// The controller of the drive is gone, and the medium with it.
    #[error("drive {drive}: its virtual machine is gone; attach the disk to another one")]
    VmUnknown {
        /// The number of the drive.
        drive: u8,
    },
    /// No medium is attached, or no disk is in the host drive.
    #[error("drive {drive}: no disk is in the drive; attach one first")]
    NoMediaCaptured {
        /// The number of the drive.
        drive: u8,
    },
    /// The image is open for reads only, or the medium that the VM monitor supplies is write protected by itself.
    #[error("drive {drive}: cannot permit writes{}, which is open for reads only; attach it read-write or private", To(.path.as_ref()))]
    ReadOnly {
        /// The number of the drive.
        drive: u8,
        /// The absolute path of the image; `None` for a medium that the VM monitor supplies.
        path: Option<PathBuf>,
    },
}

impl ProtectError {
    /// Returns the nearest outcome of `IVMFloppyDrive`, which has no such method.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        match self {
            Self::VmUnknown { .. } => HResult::VM_E_VM_UNKNOWN,
            Self::NoMediaCaptured { .. } => HResult::VM_E_NO_MEDIA_CAPTURED,
            Self::ReadOnly { .. } => HResult::DISP_E_EXCEPTION,
        }
    }
}

/// What a forced release can have lost.
#[derive(Debug, thiserror::Error)]
#[error("drive {drive}: {} that the guest wrote can be lost{}", Bytes(.ranges), Of(.path.as_ref()))]
#[non_exhaustive]
pub struct DataLoss {
    /// The number of the drive.
    pub drive: u8,
    /// The absolute path of the image; `None` for a medium that the VM monitor supplies.
    pub path: Option<PathBuf>,
    /// The ranges of the image that the guest wrote and that are possibly not in the file, in ascending order; empty when
    /// the medium does not know them.
    pub ranges: Vec<Range<u64>>,
    /// The reason why the medium could not be saved.
    pub source: io::Error,
}

impl DataLoss {
    /// Returns the outcome of a release that fails for the same reason without force.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        HResult::VM_E_MEDIA_UNMOUNT_FAIL
    }
}

/// Prints the number of bytes, if it is known.
struct Bytes<'a>(&'a [Range<u64>]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.iter().map(|range| range.end - range.start).sum::<u64>() {
            0 => f.write_str("bytes"),
            bytes => write!(f, "up to {bytes} bytes"),
        }
    }
}

/// Prints an error and its causes on one line.
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

/// Prints ", which is attached to drive N" if the file is attached to a drive of the same controller. What to do is in the
/// cause, except for a swap of an image for itself.
struct Holder(Option<u8>, u8);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(None, _) => Ok(()),
            Self(Some(holder), drive) if holder == drive => {
                f.write_str(", which is attached to this drive already; release it, and attach it then")
            }
            Self(Some(holder), _) => write!(f, ", which is attached to drive {holder}"),
        }
    }
}

/// Prints " to PATH" if there is a path.
struct To<'a>(Option<&'a PathBuf>);

impl fmt::Display for To<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |path| write!(f, " to {}", path.display()))
    }
}

/// Prints " of PATH" if there is a path.
struct Of<'a>(Option<&'a PathBuf>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |path| write!(f, " of {}", path.display()))
    }
}

/// Prints ", which fits DRIVES" if there are any.
struct SuitableDrives<'a>(&'a [DriveType]);

impl fmt::Display for SuitableDrives<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, drive_type) in self.0.iter().enumerate() {
            write!(f, "{}{drive_type}", if index == 0 { ", which fits a drive for " } else { ", " })?;
        }
        Ok(())
    }
}

/// The error for the number of a drive that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the controller has no drive {number}")]
pub struct NoSuchDrive {
    /// The number of the drive that was asked for.
    pub number: u8,
}

impl NoSuchDrive {
    /// Returns the outcome as a collection of drives gives it.
    #[must_use]
    pub const fn hresult(&self) -> HResult {
        HResult::DISP_E_BADINDEX
    }
}
