//! A failure of the C interface: its HRESULT and its message.

use std::error::Error;

use crate::{
    BuildError,
    drive::{
        AttachError, DataLoss, HResult, NoSuchDrive, ProtectError, ReleaseError, SaveError, SwapError, WithCauses,
    },
    media::{CreateError, GeometryError},
};

/// A failure: its code and its message.
#[derive(Debug)]
pub(super) struct Failure {
    /// HRESULT of the failure.
    pub code: HResult,
    /// Message in English, for people.
    pub message: String,
}

impl Failure {
    /// Creates a failure with the message of an error and of its causes. The causes name options as C does; the error
    /// itself names none, but a path, which stays as it is.
    pub fn of(code: HResult, error: &(dyn Error + 'static)) -> Self {
        let mut message = error.to_string();
        if let Some(cause) = error.source() {
            let names = OPTION_NAMES.iter();
            let causes = names.fold(WithCauses(cause).to_string(), |text, (rust, c)| text.replace(rust, c));
            message = format!("{message}: {causes}");
        }
        Self { code, message }
    }

    /// Creates the failure for an argument that is not usable.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self { code: HResult::E_INVALIDARG, message: message.into() }
    }

    /// Creates the failure for an argument that is null and must not be.
    pub fn null(argument: &str) -> Self {
        Self { code: HResult::E_POINTER, message: format!("{argument} is null") }
    }

    /// Creates the failure for a panic, in this call or an earlier one.
    pub fn exception(message: impl Into<String>) -> Self {
        Self { code: HResult::DISP_E_EXCEPTION, message: message.into() }
    }
}

/// The options that messages name, and their names in C.
const OPTION_NAMES: [(&str, &str); 5] = [
    ("Length::Pad", "VM_FDC_LENGTH_PAD"),
    ("Length::Truncate", "VM_FDC_LENGTH_TRUNCATE"),
    ("Lock::IfSupported", "VM_FDC_LOCK_IF_SUPPORTED"),
    ("Lock::None", "VM_FDC_LOCK_NONE"),
    ("Access::ReadWriteIfPermitted", "VM_FDC_ACCESS_READ_WRITE_IF_PERMITTED"),
];

/// Implements the conversion from errors that have an HRESULT.
macro_rules! failure_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(HResult::from(&error), &error)
            }
        }
    )*};
}

failure_from!(AttachError, ReleaseError, SwapError, SaveError, ProtectError, CreateError, NoSuchDrive);

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::of(HResult::E_INVALIDARG, &error)
    }
}

impl From<GeometryError> for Failure {
    fn from(error: GeometryError) -> Self {
        Self::of(HResult::E_INVALIDARG, &error)
    }
}

impl From<DataLoss> for Failure {
    fn from(loss: DataLoss) -> Self {
        Self::of(HResult::VM_E_MEDIA_UNMOUNT_FAIL, &loss)
    }
}
