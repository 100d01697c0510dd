//! The kinds of container: their names, and what to do with a file of each.

use std::fmt;

/// What a file is that is not a raw image of a floppy disk, by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Container {
    /// ImageDisk by Dave Dunfield (`.imd`).
    ImageDisk,
    /// Teledisk by Sydex (`.td0`).
    Teledisk,
    /// Teledisk with its "advanced compression" (`.td0`).
    CompressedTeledisk,
    /// D88, of emulators of Japanese computers (`.d88`, `.d77`, `.88d`).
    D88,
    /// HFE of the HxC floppy emulator, any version.
    Hfe,
    /// 86F of the emulator 86Box.
    Image86F,
    /// One of three formats with the extension `.fdi`.
    Fdi,
    /// SaveDskF by IBM (`.dsk`).
    SaveDskF,
    /// CopyQM by Sydex (`.cqm`).
    CopyQm,
    /// The disk images of emulators of the Amstrad CPC (`.dsk`), standard or extended.
    CpcDsk,
    /// The interchangeable preservation format of SPS (`.ipf`).
    Ipf,
    /// The sector image of PCE (`.psi`).
    Psi,
    /// A zip archive.
    Zip,
    /// A file compressed with gzip.
    Gzip,
    /// A file compressed with xz.
    Xz,
    /// A 7-Zip archive.
    SevenZip,
    /// A QCOW image of QEMU, any version.
    Qcow2,
    /// A virtual hard disk by Microsoft, fixed or dynamic (`.vhd`).
    Vhd,
    /// A virtual hard disk by Microsoft, version 2 (`.vhdx`).
    Vhdx,
    /// A sparse disk by VMware (`.vmdk`).
    Vmdk,
}

// The list of all is complete.
const _: () = assert!(Container::ALL.len() == Container::Vmdk as usize + 1);

/// What becomes of a file before it attaches as a raw image.
const CONVERT: &str =
    "attach it as a container, or convert it to a raw image with `convert` of this library (examples/convert.rs)";
const CONVERT_WITH_OTHERS: &str = "convert it to a raw image with a program that reads this format, such as hxcfe";
const CONVERT_DISK: &str = "convert it with `qemu-img convert -O raw FILE NEW.img`";
const EXTRACT: &str = "extract the image from it, and attach that";

impl Container {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::ImageDisk,
        Self::Teledisk,
        Self::CompressedTeledisk,
        Self::D88,
        Self::Hfe,
        Self::Image86F,
        Self::Fdi,
        Self::SaveDskF,
        Self::CopyQm,
        Self::CpcDsk,
        Self::Ipf,
        Self::Psi,
        Self::Zip,
        Self::Gzip,
        Self::Xz,
        Self::SevenZip,
        Self::Qcow2,
        Self::Vhd,
        Self::Vhdx,
        Self::Vmdk,
    ];

    /// Returns the name with its article, such as "an ImageDisk (IMD) file".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ImageDisk => "an ImageDisk (IMD) file",
            Self::Teledisk => "a Teledisk (TD0) file",
            Self::CompressedTeledisk => "a Teledisk (TD0) file with advanced compression",
            Self::D88 => "a D88 file",
            Self::Hfe => "an HFE file",
            Self::Image86F => "an 86F file",
            Self::Fdi => "an FDI file",
            Self::SaveDskF => "a SaveDskF file",
            Self::CopyQm => "a CopyQM file",
            Self::CpcDsk => "a CPC disk image (DSK)",
            Self::Ipf => "an IPF file",
            Self::Psi => "a PSI file",
            Self::Zip => "a zip archive",
            Self::Gzip => "a gzip file",
            Self::Xz => "an xz file",
            Self::SevenZip => "a 7-Zip archive",
            Self::Qcow2 => "a QCOW2 image",
            Self::Vhd => "a VHD image",
            Self::Vhdx => "a VHDX image",
            Self::Vmdk => "a VMDK image",
        }
    }

    /// Returns what a user does with such a file, such as "extract the image from it, and attach that".
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::ImageDisk | Self::Teledisk | Self::CompressedTeledisk | Self::D88 => CONVERT,
            Self::Hfe | Self::Image86F | Self::Fdi | Self::SaveDskF | Self::CopyQm => CONVERT_WITH_OTHERS,
            Self::CpcDsk | Self::Ipf | Self::Psi => CONVERT_WITH_OTHERS,
            Self::Zip | Self::Gzip | Self::Xz | Self::SevenZip => EXTRACT,
            Self::Qcow2 | Self::Vhd | Self::Vhdx | Self::Vmdk => CONVERT_DISK,
        }
    }

    /// Returns whether [`DiskFile`](super::DiskFile) opens such files.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::ImageDisk | Self::Teledisk | Self::CompressedTeledisk | Self::D88)
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
