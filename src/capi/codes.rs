//! The numbers of the C interface, and the values of the library that they stand for.
#![allow(dead_code)] // Some are used by C only.

use crate::{
    EmptyDrive, EndDelay, FifoAfterOverrun, InterfaceMode, PowerOn, Timing,
    drive::{DriveType, HResult},
    media::{Access, DataRate, Durability, FormFactor, IfExists, Length, Lock},
};

use super::failure::Failure;

/// Place of the bytes of an attached image.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Backing {
    /// Memory of the library.
    Memory,
    /// The mapped file.
    Mapped,
}

/// Outcome of a function: an HRESULT. Bit 31 is set if the function failed. A function that failed changed nothing,
/// unless its description says otherwise.
pub type vm_fdc_result_t = u32;

/// The function succeeded. Where it is a question, the answer is yes.
pub const VM_FDC_S_OK: u32 = S_OK;
/// The function succeeded. The answer is no, or there is nothing to return.
pub const VM_FDC_S_FALSE: u32 = S_FALSE;
/// The virtual machine of the drive no longer exists.
pub const VM_FDC_VM_E_VM_UNKNOWN: u32 = VM_E_VM_UNKNOWN;
/// Writes of the guest could not be saved to the file or drive of the host.
pub const VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL: u32 = VM_E_MEDIA_UNMOUNT_FAIL;
/// The image could not be attached: it is missing, unreadable, not a floppy image, or in use.
pub const VM_FDC_VM_E_IMAGE_CAPTURE_FAIL: u32 = VM_E_IMAGE_CAPTURE_FAIL;
/// Nothing is attached to the drive.
pub const VM_FDC_VM_E_NO_MEDIA_CAPTURED: u32 = VM_E_NO_MEDIA_CAPTURED;
/// An image or a host drive is already attached to the drive.
pub const VM_FDC_VM_E_DRIVE_IN_USE: u32 = VM_E_DRIVE_IN_USE;
/// The release of a host drive was requested, but an image is attached, or the reverse.
pub const VM_FDC_VM_E_MEDIA_WRONG_TYPE: u32 = VM_E_MEDIA_WRONG_TYPE;
/// An argument is null.
pub const VM_FDC_E_POINTER: u32 = E_POINTER;
/// An argument is not usable, or the function must not be called from where it was called.
pub const VM_FDC_E_INVALIDARG: u32 = E_INVALIDARG;
/// The host is out of memory.
pub const VM_FDC_E_OUTOFMEMORY: u32 = E_OUTOFMEMORY;
/// The path is too long, or the buffer for a text is too small.
pub const VM_FDC_ERROR_BUFFER_OVERFLOW: u32 = ERROR_BUFFER_OVERFLOW;
/// The path contains a character that the host does not allow.
pub const VM_FDC_ERROR_INVALID_NAME: u32 = ERROR_INVALID_NAME;
/// The path is empty.
pub const VM_FDC_ERROR_BAD_PATHNAME: u32 = ERROR_BAD_PATHNAME;
/// Any other failure. After a defect of the library (a panic), all functions return this code for the handle of that
/// call. Free the handle.
pub const VM_FDC_DISP_E_EXCEPTION: u32 = DISP_E_EXCEPTION;
/// The machine has no drive of this number.
pub const VM_FDC_DISP_E_BADINDEX: u32 = DISP_E_BADINDEX;

/// Defines HRESULTs by the names that `cbindgen.toml` replaces with hexadecimal numbers: `cbindgen` writes decimal
/// ones.
macro_rules! hresults {
    ($($name:ident)*) => {$(
        #[doc = concat!("`", stringify!($name), "`")]
        const $name: u32 = HResult::$name.0;
    )*};
}

hresults! {
    S_OK VM_E_VM_UNKNOWN VM_E_MEDIA_UNMOUNT_FAIL VM_E_IMAGE_CAPTURE_FAIL VM_E_NO_MEDIA_CAPTURED VM_E_DRIVE_IN_USE
    VM_E_MEDIA_WRONG_TYPE E_POINTER E_INVALIDARG E_OUTOFMEMORY ERROR_BUFFER_OVERFLOW ERROR_INVALID_NAME
    ERROR_BAD_PATHNAME DISP_E_EXCEPTION DISP_E_BADINDEX
}

/// `S_FALSE`, which no error has.
const S_FALSE: u32 = 1;

/// No drive.
pub const VM_FDC_DRIVE_NONE: u32 = 0;
/// 5.25" drive, 360K, without a change line. The numbers of the drive types are those of the CMOS of a PC.
pub const VM_FDC_DRIVE_360K: u32 = 1;
/// 5.25" drive, 1.2M.
pub const VM_FDC_DRIVE_1200K: u32 = 2;
/// 3.5" drive, 720K.
pub const VM_FDC_DRIVE_720K: u32 = 3;
/// 3.5" drive, 1.44M.
pub const VM_FDC_DRIVE_1440K: u32 = 4;
/// 3.5" drive, 2.88M.
pub const VM_FDC_DRIVE_2880K: u32 = 5;

/// Register set of a PC/AT.
pub const VM_FDC_INTERFACE_AT: u32 = 0;
/// Register set of a PS/2.
pub const VM_FDC_INTERFACE_PS2: u32 = 1;
/// Register set of a PS/2 Model 30.
pub const VM_FDC_INTERFACE_MODEL30: u32 = 2;

/// Commands take no time: each ends within the access that gives it its last byte, as far as the host moves its data.
pub const VM_FDC_TIMING_IMMEDIATE: u32 = 0;
/// Commands take the time of a real drive. `vm_fdc_advance` advances it.
pub const VM_FDC_TIMING_AUTHENTIC: u32 = 1;

/// A data command without a rotating disk fails at once.
pub const VM_FDC_EMPTY_DRIVE_FAIL: u32 = 0;
/// A data command without a rotating disk waits until a disk rotates or the controller is reset.
pub const VM_FDC_EMPTY_DRIVE_HANG: u32 = 1;

/// Each command ends within an access.
pub const VM_FDC_END_DELAY_NONE: u32 = 0;
/// READ ID and transfers without DMA end with a delay, which Windows 98 and Linux need.
pub const VM_FDC_END_DELAY_KNOWN_GUESTS: u32 = 1;
/// All commands that seek or have an execution phase end with a delay.
pub const VM_FDC_END_DELAY_ALL: u32 = 2;

/// The bytes in the FIFO are discarded after an overrun.
pub const VM_FDC_FIFO_AFTER_OVERRUN_DISCARDED: u32 = 0;
/// The host has to take the bytes in the FIFO after an overrun.
pub const VM_FDC_FIFO_AFTER_OVERRUN_KEPT: u32 = 1;

/// At power-on the controller is held in reset, as after a hardware reset.
pub const VM_FDC_POWER_ON_IN_RESET: u32 = 0;
/// At power-on the controller is ready for a command, as firmware leaves it.
pub const VM_FDC_POWER_ON_RUNNING: u32 = 1;

/// Nothing is attached.
pub const VM_FDC_ATTACHMENT_NONE: u32 = 0;
/// An image is attached.
pub const VM_FDC_ATTACHMENT_IMAGE: u32 = 1;
/// A floppy drive of the host is attached, with or without a disk in it.
pub const VM_FDC_ATTACHMENT_HOST_DRIVE: u32 = 2;

/// A disk of none of the types below, or no disk.
pub const VM_FDC_IMAGE_UNKNOWN: u32 = 0;
/// 3.5", 720K.
pub const VM_FDC_IMAGE_LOW_DENSITY: u32 = 1;
/// 3.5", 1.44M.
pub const VM_FDC_IMAGE_HIGH_DENSITY: u32 = 2;
/// 3.5", 1.68M: the distribution media format (DMF) of Microsoft.
pub const VM_FDC_IMAGE_DMF: u32 = 3;
/// 3.5", 360K: single-sided, 80 cylinders.
pub const VM_FDC_IMAGE_LOW_DENSITY_SINGLE_SIDED: u32 = 4;
/// 5.25", 1.2M.
pub const VM_FDC_IMAGE_MEDIUM_DENSITY: u32 = 5;
/// Tracks with sectors of several sizes: XDF.
pub const VM_FDC_IMAGE_HIGH_DENSITY_MSS: u32 = 6;

/// `OnMediaInsert`: an image was attached, or a disk was inserted into the attached host drive.
pub const VM_FDC_MEDIA_INSERTED: u32 = 1;
/// `OnMediaEject`: an image was released, or the disk was ejected from the attached host drive.
pub const VM_FDC_MEDIA_EJECTED: u32 = 2;
/// The guest has formatted the disk in another layout, which `vm_fdc_drive_layout` returns. The disk is still in the drive.
/// Only for images with the option `reformat`.
pub const VM_FDC_MEDIA_REFORMATTED: u32 = 3;

/// Writes of the guest change the file. The file is locked against every other use.
pub const VM_FDC_ACCESS_READ_WRITE: u32 = 0;
/// The disk is write-protected. Others may read the file.
pub const VM_FDC_ACCESS_READ_ONLY: u32 = 1;
/// Writes of the guest are visible to the guest only and never change the file. Others may read the file.
pub const VM_FDC_ACCESS_PRIVATE: u32 = 2;
/// As `VM_FDC_ACCESS_READ_WRITE` if the host permits the process to write the file, and as `VM_FDC_ACCESS_READ_ONLY` if
/// it does not.
pub const VM_FDC_ACCESS_READ_WRITE_IF_PERMITTED: u32 = 3;

/// The bytes of an attached image are in memory of the library. No use of the file by others can end the process.
pub const VM_FDC_BACKING_MEMORY: u32 = 0;
/// The file of an attached image is mapped into memory. Only for a file that nobody else writes or truncates while it
/// is attached: a read of the guest beyond the end of a truncated file ends the process (SIGBUS).
pub const VM_FDC_BACKING_MAPPED: u32 = 1;

/// Each command that writes hands its sectors to the operating system of the host before it ends. The release brings
/// them to the disk of the host.
pub const VM_FDC_DURABILITY_AT_RELEASE: u32 = 0;
/// Each command that writes waits until its sectors are on the disk of the host.
pub const VM_FDC_DURABILITY_EVERY_COMMAND: u32 = 1;
/// Nothing is handed to the host before a flush or the release.
pub const VM_FDC_DURABILITY_ON_FLUSH: u32 = 2;

/// The file is locked. A file that cannot be locked is refused.
pub const VM_FDC_LOCK_REQUIRED: u32 = 0;
/// The file is locked if its file system can lock files.
pub const VM_FDC_LOCK_IF_SUPPORTED: u32 = 1;
/// The file is not locked. The caller sees to it that nobody else writes the file.
pub const VM_FDC_LOCK_NONE: u32 = 2;

/// A file that is shorter or longer than its disk is refused.
pub const VM_FDC_LENGTH_EXACT: u32 = 0;
/// What a short file does not have reads as zeros. The file becomes longer when the guest writes there.
pub const VM_FDC_LENGTH_PAD: u32 = 1;
/// What follows the disk in a long file is ignored, and stays as it is.
pub const VM_FDC_LENGTH_TRUNCATE: u32 = 2;
/// As `VM_FDC_LENGTH_TRUNCATE` for a long file, and as `VM_FDC_LENGTH_PAD` for a short one. Without a layout, the disk
/// is the usual one for the drive.
pub const VM_FDC_LENGTH_FIT: u32 = 3;

/// If the file exists, nothing is created and the function fails.
pub const VM_FDC_IF_EXISTS_FAIL: u32 = 0;
/// If the file exists, the new file replaces it.
pub const VM_FDC_IF_EXISTS_REPLACE: u32 = 1;

/// The size of the file determines the layout.
pub const VM_FDC_LAYOUT_BY_SIZE: u32 = 0;
/// All tracks have the same layout, which the other members of the structure describe.
pub const VM_FDC_LAYOUT_REGULAR: u32 = 1;
/// The XDF layout of IBM on 5.25" disks. The other members of the structure are ignored.
pub const VM_FDC_LAYOUT_XDF_5_25: u32 = 3;
/// The XDF layout of IBM on 3.5" disks. The other members of the structure are ignored.
pub const VM_FDC_LAYOUT_XDF: u32 = 2;

/// 500 kb/s: 1.2M and 1.44M disks. The numbers of the rates are those of the controller.
pub const VM_FDC_RATE_500: u32 = 0;
/// 300 kb/s: 360K and 720K disks in a 1.2M drive.
pub const VM_FDC_RATE_300: u32 = 1;
/// 250 kb/s: 360K and 720K disks.
pub const VM_FDC_RATE_250: u32 = 2;
/// 1 Mb/s: 2.88M disks.
pub const VM_FDC_RATE_1000: u32 = 3;

/// 5.25" disk.
pub const VM_FDC_FORM_5_25: u32 = 0;
/// 3.5" disk.
pub const VM_FDC_FORM_3_5: u32 = 1;
/// As the container says, or that of most disks with such tracks. Only for `vm_fdc_drive_attach_container`.
pub const VM_FDC_FORM_OF_FILE: u32 = 2;

/// A value of the library that has a number in C.
pub(super) trait Code: Copy + PartialEq + Sized + 'static {
    /// Name of the quantity, for messages.
    const NAME: &'static str;
    /// The numbers and their values.
    const CODES: &'static [(u32, Self)];

    /// Returns the value of a number.
    fn of_code(code: u32) -> Result<Self, Failure> {
        let found = Self::CODES.iter().find(|(number, _)| *number == code);
        found
            .map(|&(_, value)| value)
            .ok_or_else(|| Failure::invalid_argument(format!("{}: there is no number {code}", Self::NAME)))
    }

    /// Returns the number of a value.
    fn code(self) -> u32 {
        Self::CODES.iter().find(|(_, value)| *value == self).map_or(u32::MAX, |&(number, _)| number)
    }
}

/// Implements [`Code`] for types of the library.
macro_rules! codes {
    ($($name:literal $type:ty { $($number:ident => $value:expr),* $(,)? })*) => {$(
        impl Code for $type {
            const NAME: &'static str = $name;
            const CODES: &'static [(u32, Self)] = &[$(($number, $value)),*];
        }
    )*};
}

codes! {
    "drive type" Option<DriveType> {
        VM_FDC_DRIVE_NONE => None,
        VM_FDC_DRIVE_360K => Some(DriveType::Inch5_25Dd),
        VM_FDC_DRIVE_1200K => Some(DriveType::Inch5_25Hd),
        VM_FDC_DRIVE_720K => Some(DriveType::Inch3_5Dd),
        VM_FDC_DRIVE_1440K => Some(DriveType::Inch3_5Hd),
        VM_FDC_DRIVE_2880K => Some(DriveType::Inch3_5Ed),
    }
    "interface mode" InterfaceMode {
        VM_FDC_INTERFACE_AT => Self::At,
        VM_FDC_INTERFACE_PS2 => Self::Ps2,
        VM_FDC_INTERFACE_MODEL30 => Self::Model30,
    }
    "timing" Timing {
        VM_FDC_TIMING_IMMEDIATE => Self::Immediate,
        VM_FDC_TIMING_AUTHENTIC => Self::Authentic,
    }
    "empty drive" EmptyDrive {
        VM_FDC_EMPTY_DRIVE_FAIL => Self::Fail,
        VM_FDC_EMPTY_DRIVE_HANG => Self::Hang,
    }
    "end delay" EndDelay {
        VM_FDC_END_DELAY_NONE => Self::None,
        VM_FDC_END_DELAY_KNOWN_GUESTS => Self::KnownGuests,
        VM_FDC_END_DELAY_ALL => Self::All,
    }
    "FIFO after an overrun" FifoAfterOverrun {
        VM_FDC_FIFO_AFTER_OVERRUN_DISCARDED => Self::Discarded,
        VM_FDC_FIFO_AFTER_OVERRUN_KEPT => Self::Kept,
    }
    "state at power-on" PowerOn {
        VM_FDC_POWER_ON_IN_RESET => Self::InReset,
        VM_FDC_POWER_ON_RUNNING => Self::Running,
    }
    "access" Access {
        VM_FDC_ACCESS_READ_WRITE => Self::ReadWrite,
        VM_FDC_ACCESS_READ_ONLY => Self::ReadOnly,
        VM_FDC_ACCESS_PRIVATE => Self::Private,
        VM_FDC_ACCESS_READ_WRITE_IF_PERMITTED => Self::ReadWriteIfPermitted,
    }
    "backing" Backing {
        VM_FDC_BACKING_MEMORY => Self::Memory,
        VM_FDC_BACKING_MAPPED => Self::Mapped,
    }
    "durability" Durability {
        VM_FDC_DURABILITY_AT_RELEASE => Self::AtRelease,
        VM_FDC_DURABILITY_EVERY_COMMAND => Self::EveryCommand,
        VM_FDC_DURABILITY_ON_FLUSH => Self::OnFlush,
    }
    "lock" Lock {
        VM_FDC_LOCK_REQUIRED => Self::Required,
        VM_FDC_LOCK_IF_SUPPORTED => Self::IfSupported,
        VM_FDC_LOCK_NONE => Self::None,
    }
    "length" Length {
        VM_FDC_LENGTH_EXACT => Self::Exact,
        VM_FDC_LENGTH_PAD => Self::Pad,
        VM_FDC_LENGTH_TRUNCATE => Self::Truncate,
        VM_FDC_LENGTH_FIT => Self::Fit,
    }
    "what to do if the file exists" IfExists {
        VM_FDC_IF_EXISTS_FAIL => Self::Fail,
        VM_FDC_IF_EXISTS_REPLACE => Self::Replace,
    }
    "data rate" DataRate {
        VM_FDC_RATE_500 => Self::Kbps500,
        VM_FDC_RATE_300 => Self::Kbps300,
        VM_FDC_RATE_250 => Self::Kbps250,
        VM_FDC_RATE_1000 => Self::Kbps1000,
    }
    "form factor" FormFactor {
        VM_FDC_FORM_5_25 => Self::Inch5_25,
        VM_FDC_FORM_3_5 => Self::Inch3_5,
    }
    "form factor of a container" Option<FormFactor> {
        VM_FDC_FORM_5_25 => Some(FormFactor::Inch5_25),
        VM_FDC_FORM_3_5 => Some(FormFactor::Inch3_5),
        VM_FDC_FORM_OF_FILE => None,
    }
    "boolean" bool {
        NO => false,
        YES => true,
    }
}

/// A boolean member that is false.
const NO: u32 = 0;
/// A boolean member that is true.
const YES: u32 = 1;
