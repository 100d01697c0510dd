//! Outcomes as a COM caller knows them.

use std::{fmt, io};

use crate::media::CreateError;

/// An outcome as a COM caller knows it. It prints in hexadecimal: `0xA0040652`.
///
/// The errors of this module convert to it: `HResult::from(&error)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HResult(pub u32);

impl HResult {
    /// Success.
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
    /// What the guest wrote could not be saved to the file on the host.
    pub const VM_E_MEDIA_UNMOUNT_FAIL: Self = Self(0xA004_0508);
    /// An argument is not usable.
    pub const E_INVALIDARG: Self = Self(0x8007_0057);
    /// The host has no memory left.
    pub const E_OUTOFMEMORY: Self = Self(0x8007_000E);
    /// The path is too long.
    pub const ERROR_BUFFER_OVERFLOW: Self = Self(0x8007_006F);
    /// The path has a character that no path of the host has.
    pub const ERROR_INVALID_NAME: Self = Self(0x8007_007B);
    /// The path is empty.
    pub const ERROR_BAD_PATHNAME: Self = Self(0x8007_00A1);
    /// An argument is null, which can occur in the C interface only.
    pub const E_POINTER: Self = Self(0x8000_4003);
    /// No drive has the number.
    pub const DISP_E_BADINDEX: Self = Self(0x8002_000B);
    /// Any other failure.
    pub const DISP_E_EXCEPTION: Self = Self(0x8002_0009);
}

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010X}", self.0)
    }
}

impl fmt::Debug for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::LowerHex for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

impl fmt::UpperHex for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::UpperHex::fmt(&self.0, f)
    }
}

/// The nearest outcome of `IVMFloppyDrive`, which creates no files.
impl From<&CreateError> for HResult {
    fn from(error: &CreateError) -> Self {
        match error {
            CreateError::NoName { .. } => Self::ERROR_BAD_PATHNAME,
            CreateError::NoFat { .. } | CreateError::Label { .. } => Self::E_INVALIDARG,
            CreateError::OutOfMemory => Self::E_OUTOFMEMORY,
            CreateError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidInput => Self::ERROR_INVALID_NAME,
            CreateError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidFilename => {
                Self::ERROR_BUFFER_OVERFLOW
            }
            CreateError::Exists { .. }
            | CreateError::WrongFileType { .. }
            | CreateError::InUse { .. }
            | CreateError::NotDurable { .. }
            | CreateError::Io { .. } => Self::DISP_E_EXCEPTION,
        }
    }
}
