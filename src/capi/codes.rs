//! The numbers of the interface.
#![allow(dead_code)] // Some are for C alone.

use crate::{
    EmptyDrive, InterfaceMode, Timing,
    drive::DriveType,
    media::{Access, DataRate, Durability, FormFactor, IfExists},
};

use super::Failure;

/// Where the bytes of an image are while it is attached.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Backing {
    /// In memory of the library's own.
    Memory,
    /// In the file.
    Mapped,
}

/// The outcome of a function, an HRESULT: bit 31 is set if it failed, and then nothing has changed unless the function says
/// otherwise.
pub type vm_fdc_result_t = u32;

/// It worked; where the function asks something, the answer is yes.
pub const VM_FDC_S_OK: u32 = 0x0000_0000;
/// It worked, and the answer is no, or there is nothing to answer.
pub const VM_FDC_S_FALSE: u32 = 0x0000_0001;
/// 0xA0040207: the virtual machine of the drive is gone.
pub const VM_FDC_VM_E_VM_UNKNOWN: u32 = 0xA004_0207;
/// 0xA0040508: what the guest wrote could not be brought to the host's file.
pub const VM_FDC_VM_E_MEDIA_UNMOUNT_FAIL: u32 = 0xA004_0508;
/// 0xA0040650: the image could not be attached: missing, unreadable, not a floppy image, in use.
pub const VM_FDC_VM_E_IMAGE_CAPTURE_FAIL: u32 = 0xA004_0650;
/// 0xA0040652: nothing is attached.
pub const VM_FDC_VM_E_NO_MEDIA_CAPTURED: u32 = 0xA004_0652;
/// 0xA0040727: something is attached already.
pub const VM_FDC_VM_E_DRIVE_IN_USE: u32 = 0xA004_0727;
/// 0xA0040728: an image is attached where a host drive was to be released, or the other way round.
pub const VM_FDC_VM_E_MEDIA_WRONG_TYPE: u32 = 0xA004_0728;
/// 0x80004003: an argument is null.
pub const VM_FDC_E_POINTER: u32 = 0x8000_4003;
/// 0x80070057: an argument is not usable, or the function was called from where it must not be.
pub const VM_FDC_E_INVALIDARG: u32 = 0x8007_0057;
/// 0x8007000E: out of memory.
pub const VM_FDC_E_OUTOFMEMORY: u32 = 0x8007_000E;
/// 0x8007006F: the path is too long; or the buffer for a text is too short.
pub const VM_FDC_ERROR_BUFFER_OVERFLOW: u32 = 0x8007_006F;
/// 0x8007007B: the path is none that the host can have.
pub const VM_FDC_ERROR_INVALID_NAME: u32 = 0x8007_007B;
/// 0x800700A1: the path is empty.
pub const VM_FDC_ERROR_BAD_PATHNAME: u32 = 0x8007_00A1;
/// 0x80020009: any other failure. After a defect of the library all functions answer so to the handle that it was met with;
/// free it.
pub const VM_FDC_DISP_E_EXCEPTION: u32 = 0x8002_0009;
/// 0x8002000B: there is no drive of that number.
pub const VM_FDC_DISP_E_BADINDEX: u32 = 0x8002_000B;

/// No drive.
pub const VM_FDC_DRIVE_NONE: u32 = 0;
/// A 5.25" drive of 360K, without a change line. The numbers of the types are those of the CMOS of a PC.
pub const VM_FDC_DRIVE_360K: u32 = 1;
/// A 5.25" drive of 1.2M.
pub const VM_FDC_DRIVE_1200K: u32 = 2;
/// A 3.5" drive of 720K.
pub const VM_FDC_DRIVE_720K: u32 = 3;
/// A 3.5" drive of 1.44M.
pub const VM_FDC_DRIVE_1440K: u32 = 4;
/// A 3.5" drive of 2.88M.
pub const VM_FDC_DRIVE_2880K: u32 = 5;

/// The registers of a PC/AT.
pub const VM_FDC_INTERFACE_AT: u32 = 0;
/// The registers of a PS/2.
pub const VM_FDC_INTERFACE_PS2: u32 = 1;
/// The registers of a PS/2 Model 30.
pub const VM_FDC_INTERFACE_MODEL30: u32 = 2;

/// Each command ends within the access that gives it its last byte.
pub const VM_FDC_TIMING_IMMEDIATE: u32 = 0;
/// Each command takes the time of a real drive, which `vm_fdc_advance` tells.
pub const VM_FDC_TIMING_AUTHENTIC: u32 = 1;

/// Without a disk that turns, a data command fails at once.
pub const VM_FDC_EMPTY_DRIVE_FAIL: u32 = 0;
/// Without a disk that turns, a data command waits until one does, or for a reset.
pub const VM_FDC_EMPTY_DRIVE_HANG: u32 = 1;

/// Nothing is attached.
pub const VM_FDC_ATTACHMENT_NONE: u32 = 0;
/// An image is attached.
pub const VM_FDC_ATTACHMENT_IMAGE: u32 = 1;
/// A floppy drive of the host is attached, with or without a disk in it.
pub const VM_FDC_ATTACHMENT_HOST_DRIVE: u32 = 2;

/// A disk that is none of those below.
pub const VM_FDC_IMAGE_UNKNOWN: u32 = 0;
/// 3.5", 720K.
pub const VM_FDC_IMAGE_LOW_DENSITY: u32 = 1;
/// 3.5", 1.44M.
pub const VM_FDC_IMAGE_HIGH_DENSITY: u32 = 2;
/// 3.5", 1.68M, Microsoft's distribution media format.
pub const VM_FDC_IMAGE_DMF: u32 = 3;
/// 3.5", 360K, one side of a 720K disk.
pub const VM_FDC_IMAGE_LOW_DENSITY_SINGLE_SIDED: u32 = 4;
/// 5.25", 1.2M.
pub const VM_FDC_IMAGE_MEDIUM_DENSITY: u32 = 5;
/// Tracks of sectors of several sizes: XDF.
pub const VM_FDC_IMAGE_HIGH_DENSITY_MSS: u32 = 6;

/// `OnMediaInsert`: an image was attached, or a disk put into the attached host drive.
pub const VM_FDC_MEDIA_INSERTED: u32 = 1;
/// `OnMediaEject`: an image was released, or the disk taken out of the attached host drive.
pub const VM_FDC_MEDIA_EJECTED: u32 = 2;

/// The guest's writes go to the file, which is locked against every other use.
pub const VM_FDC_ACCESS_READ_WRITE: u32 = 0;
/// The disk is write protected. The file may be read by others.
pub const VM_FDC_ACCESS_READ_ONLY: u32 = 1;
/// The guest sees what it wrote; the file never changes, and may be read by others.
pub const VM_FDC_ACCESS_PRIVATE: u32 = 2;

/// The bytes of an image are in memory of the library's own while it is attached: whatever others do to the file, the process
/// lives.
pub const VM_FDC_BACKING_MEMORY: u32 = 0;
/// They are in the file, which is mapped into memory. Only for a file that nobody else writes to or truncates while it is
/// attached: what the guest reads of one that was cut short ends the process (SIGBUS).
pub const VM_FDC_BACKING_MAPPED: u32 = 1;

/// Each command that wrote hands its sectors to the host before it ends; they reach the host's disk at the release.
pub const VM_FDC_DURABILITY_AT_RELEASE: u32 = 0;
/// Each command that wrote waits until its sectors are on the host's disk.
pub const VM_FDC_DURABILITY_EVERY_COMMAND: u32 = 1;
/// Nothing is handed to the host before the release or a flush.
pub const VM_FDC_DURABILITY_ON_FLUSH: u32 = 2;

/// A file that is there already stays, and nothing is created.
pub const VM_FDC_IF_EXISTS_FAIL: u32 = 0;
/// The new file takes the place of one that is there already.
pub const VM_FDC_IF_EXISTS_REPLACE: u32 = 1;

/// The layout that the size of the file tells.
pub const VM_FDC_LAYOUT_BY_SIZE: u32 = 0;
/// All tracks alike, as the other members of the structure say.
pub const VM_FDC_LAYOUT_REGULAR: u32 = 1;
/// IBM's XDF; the other members of the structure are ignored.
pub const VM_FDC_LAYOUT_XDF: u32 = 2;

/// 500 kb/s: 1.2M and 1.44M disks. The numbers of the rates are those of the controller.
pub const VM_FDC_RATE_500: u32 = 0;
/// 300 kb/s.
pub const VM_FDC_RATE_300: u32 = 1;
/// 250 kb/s: 360K and 720K disks.
pub const VM_FDC_RATE_250: u32 = 2;
/// 1 Mb/s: 2.88M disks.
pub const VM_FDC_RATE_1000: u32 = 3;

/// A 5.25" disk.
pub const VM_FDC_FORM_5_25: u32 = 0;
/// A 3.5" disk.
pub const VM_FDC_FORM_3_5: u32 = 1;

/// A number of C that stands for a value of the library.
pub(super) trait Code: Copy + PartialEq + Sized + 'static {
    /// What the numbers are of.
    const NAME: &'static str;
    /// What each number stands for.
    const CODES: &'static [(u32, Self)];

    /// The value of a number.
    fn of_code(code: u32) -> Result<Self, Failure> {
        let found = Self::CODES.iter().find(|(number, _)| *number == code);
        found.map(|&(_, value)| value).ok_or_else(|| Failure::misuse(format!("{}: there is no {code}", Self::NAME)))
    }

    /// The number of a value.
    fn code(self) -> u32 {
        Self::CODES.iter().find(|(_, value)| *value == self).map_or(u32::MAX, |&(number, _)| number)
    }
}

/// Which numbers stand for which values.
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
    "access" Access {
        VM_FDC_ACCESS_READ_WRITE => Self::ReadWrite,
        VM_FDC_ACCESS_READ_ONLY => Self::ReadOnly,
        VM_FDC_ACCESS_PRIVATE => Self::Private,
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
    "boolean" bool {
        NO => false,
        YES => true,
    }
}

/// A member that is a truth value.
const NO: u32 = 0;
/// The other one.
const YES: u32 = 1;
