//! The floppy formats: the table of those in use under a name, and which of them a raw image of a given size can have.
//!
//! A raw image has no header, so only its size tells its format. Sizes that two formats share are listed twice, and the
//! caller has to choose (§9.7).

use std::fmt;

use super::{
    geometry::{FormFactor, Geometry, MAX_IMAGE_BYTES, known},
    recording::{DataRate, sector_size},
};

/// The cylinders of an XDF disk.
pub(super) const XDF_CYLINDERS: u8 = 80;
/// The bytes of a cylinder in a raw image of a 3.5" XDF disk, which has the room of 23 sectors of 512 bytes per track.
pub(super) const XDF_CYLINDER_BYTES: usize = 2 * 23 * 512;
/// The bytes of a cylinder in a raw image of a 5.25" XDF disk, which has the room of 19 sectors of 512 bytes per track.
pub(super) const XDF_5_25_CYLINDER_BYTES: usize = 2 * 19 * 512;

// The bound of the regular layouts is that of all.
const _: () = assert!(Layout::Xdf.bytes() <= MAX_IMAGE_BYTES);

/// How the sectors of a disk are arranged, on its tracks and in its raw image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Layout {
    /// All tracks are alike and have sectors of one size. The raw image has them in ascending order of cylinder, head
    /// and sector.
    Regular(Geometry),
    /// IBM's XDF on a 3.5" disk at 500 kb/s: 80 cylinders. Except on the first, each track has one sector each of
    /// 8,192, 2,048, 1,024 and 512 bytes. The raw image has the sectors in an order of its own (§9.8).
    Xdf,
    /// IBM's XDF on a 5.25" disk at 500 kb/s: 80 cylinders. Except on the first, each track has one sector each of
    /// 8,192, 1,024 and 512 bytes (§9.8).
    Xdf5_25,
}

impl Layout {
    /// Returns the geometry, or `None` if the tracks are not all alike.
    #[must_use]
    pub const fn geometry(&self) -> Option<&Geometry> {
        match self {
            Self::Regular(geometry) => Some(geometry),
            Self::Xdf | Self::Xdf5_25 => None,
        }
    }

    /// Returns the number of cylinders, 1 to 86.
    #[must_use]
    pub const fn cylinders(&self) -> u8 {
        match self {
            Self::Regular(geometry) => geometry.cylinders(),
            Self::Xdf | Self::Xdf5_25 => XDF_CYLINDERS,
        }
    }

    /// Returns the data rate in a drive made for such disks.
    #[must_use]
    pub const fn rate(&self) -> DataRate {
        match self {
            Self::Regular(geometry) => geometry.rate(),
            Self::Xdf | Self::Xdf5_25 => DataRate::Kbps500,
        }
    }

    /// Returns the kind of drive into which such a disk fits.
    #[must_use]
    pub const fn form_factor(&self) -> FormFactor {
        match self {
            Self::Regular(geometry) => geometry.form_factor(),
            Self::Xdf => FormFactor::Inch3_5,
            Self::Xdf5_25 => FormFactor::Inch5_25,
        }
    }

    /// Returns the number of bytes in a raw image of such a disk.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match self {
            Self::Regular(geometry) => geometry.bytes(),
            Self::Xdf => XDF_CYLINDERS as u64 * XDF_CYLINDER_BYTES as u64,
            Self::Xdf5_25 => XDF_CYLINDERS as u64 * XDF_5_25_CYLINDER_BYTES as u64,
        }
    }

    /// Returns the image type of `VMFloppyDiskImageType`. The data rate of the layout makes no difference.
    #[must_use]
    pub fn image_type(&self) -> ImageType {
        let format = FORMATS.iter().find(|format| format.layout.differs_only_in_rate(self));
        format.map_or(ImageType::Unknown, |format| format.image_type)
    }

    /// Returns what the BIOS parameter block of a disk of this layout says, which is in its first sector. XDF disks count
    /// the room of their cylinders in sectors of 512 bytes.
    ///
    /// ```
    /// use vm_fdc::media::Layout;
    ///
    /// assert_eq!(Layout::Xdf.bios_parameters().sectors_per_track, 23);
    /// ```
    #[must_use]
    pub const fn bios_parameters(&self) -> BiosParameters {
        let (sector_size, sectors, heads) = match self {
            Self::Regular(geometry) => (geometry.sector_size() as u16, geometry.sectors(), geometry.heads()),
            Self::Xdf => (512, (XDF_CYLINDER_BYTES / 1024) as u8, 2),
            Self::Xdf5_25 => (512, (XDF_5_25_CYLINDER_BYTES / 1024) as u8, 2),
        };
        let total = (self.bytes() / sector_size as u64) as u32;
        BiosParameters {
            bytes_per_sector: sector_size,
            sectors_per_track: sectors as u16,
            heads: heads as u16,
            total_sectors: total,
        }
    }

    fn differs_only_in_rate(&self, other: &Self) -> bool {
        let key = |geometry: &Geometry| {
            let (cylinders, heads, sectors) = (geometry.cylinders(), geometry.heads(), geometry.sectors());
            (cylinders, heads, sectors, geometry.size_code(), geometry.form_factor())
        };
        match (self, other) {
            (Self::Regular(own), Self::Regular(other)) => key(own) == key(other),
            (own, other) => own == other,
        }
    }
}

/// What a BIOS parameter block says of the layout of its disk. DOS writes it into the first sector when it formats a
/// disk. A guest can write anything there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct BiosParameters {
    /// The number of bytes in a sector: the word at offset 0x0B.
    pub bytes_per_sector: u16,
    /// The number of sectors under one head of one cylinder: the word at 0x18.
    pub sectors_per_track: u16,
    /// The number of heads: the word at 0x1A.
    pub heads: u16,
    /// The number of sectors of the disk: the word at 0x13, or if it is 0, the double word at 0x20.
    pub total_sectors: u32,
}

impl BiosParameters {
    /// Returns the parameters in the first 512 bytes of a disk, whatever they are.
    pub(super) const fn from_boot_sector(sector: &[u8; 512]) -> Self {
        const fn word(sector: &[u8; 512], at: usize) -> u16 {
            u16::from_le_bytes([sector[at], sector[at + 1]])
        }
        let large = u32::from_le_bytes([sector[0x20], sector[0x21], sector[0x22], sector[0x23]]);
        let total = word(sector, 0x13);
        Self {
            bytes_per_sector: word(sector, 0x0B),
            sectors_per_track: word(sector, 0x18),
            heads: word(sector, 0x1A),
            total_sectors: if total == 0 { large } else { total as u32 },
        }
    }

    /// Returns whether these are the parameters of a disk of this layout, whatever the number of its cylinders.
    pub(super) fn match_tracks(self, layout: &Layout) -> bool {
        self == Self { total_sectors: self.total_sectors, ..layout.bios_parameters() }
    }

    /// Returns the layout of a disk with these parameters in a drive that takes what `fits`, or `None` if no disk has
    /// them.
    pub(super) fn layout(self, fits: impl Fn(&Layout) -> bool) -> Option<Layout> {
        let known = FORMATS.iter().map(|format| format.layout).filter(|layout| layout.bios_parameters() == self);
        known.into_iter().find(&fits).or_else(|| self.geometry(fits).map(Layout::Regular))
    }

    /// Returns the geometry with these parameters at the lowest rate at which its tracks fit, in a drive that takes what
    /// `fits`.
    fn geometry(self, fits: impl Fn(&Layout) -> bool) -> Option<Geometry> {
        use DataRate::{Kbps250, Kbps300, Kbps500, Kbps1000};
        let size_code = (0..=7).find(|&code| sector_size(code) == Some(self.bytes_per_sector.into()))?;
        let (heads, sectors) = (u8::try_from(self.heads).ok()?, u8::try_from(self.sectors_per_track).ok()?);
        let cylinder = u32::from(heads) * u32::from(sectors);
        let cylinders = self.total_sectors.checked_div(cylinder)?;
        if cylinders * cylinder != self.total_sectors {
            return None;
        }
        let cylinders = u8::try_from(cylinders).ok()?;
        // A disk of 40 cylinders is a 5.25" one, if the drive takes both.
        let forms = [FormFactor::Inch3_5, FormFactor::Inch5_25];
        let forms = if cylinders > 43 { forms } else { [forms[1], forms[0]] };
        let rates = [Kbps250, Kbps300, Kbps500, Kbps1000];
        let choices = forms.into_iter().flat_map(|form| rates.map(|rate| (form, rate)));
        let mut geometries = choices.filter_map(|(form, rate)| {
            let geometry = Geometry::new(cylinders, heads, sectors, size_code, rate, form).ok()?;
            // Marks and gaps do not leave room for more.
            let crowded = rate == Kbps250 && usize::from(sectors) * geometry.sector_size() > 11 * 512;
            (!crowded).then_some(geometry)
        });
        geometries.find(|&geometry| fits(&Layout::Regular(geometry)))
    }
}

impl From<Geometry> for Layout {
    fn from(geometry: Geometry) -> Self {
        Self::Regular(geometry)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regular(geometry) => geometry.fmt(f),
            Self::Xdf | Self::Xdf5_25 => {
                let (form_factor, rate) = (self.form_factor(), self.rate());
                write!(f, "{form_factor}, {XDF_CYLINDERS}x2 tracks of sectors of several sizes at {rate}")
            }
        }
    }
}

/// The kind of disk in an image. The discriminants are those of `VMFloppyDiskImageType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ImageType {
    /// None of the types below.
    #[default]
    Unknown = 0,
    /// 3.5" 720K.
    LowDensity = 1,
    /// 3.5" 1.44M.
    HighDensity = 2,
    /// 3.5" 1.68M, Microsoft's distribution media format.
    Dmf = 3,
    /// 3.5" 360K, one side of a 720K disk.
    LowDensitySingleSided = 4,
    /// 5.25" 1.2M.
    MediumDensity = 5,
    /// Tracks of sectors of several sizes: XDF.
    HighDensityMss = 6,
}

/// A disk format in use under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Format {
    /// The name that users know, such as "1.44M".
    pub name: &'static str,
    /// The image type of `VMFloppyDiskImageType`.
    pub image_type: ImageType,
    /// How the sectors are arranged.
    pub layout: Layout,
}

impl Format {
    /// Returns all formats whose raw image has exactly `bytes` bytes.
    ///
    /// ```
    /// use vm_fdc::media::Format;
    ///
    /// let names: Vec<_> = Format::of_size(737_280).map(|format| format.to_string()).collect();
    /// assert_eq!(names[0], "720K (3.5\", 80x2x9 of 512 bytes at 250 kb/s)");
    /// assert_eq!(names.len(), 2); // the other is 5.25"
    /// ```
    pub fn of_size(bytes: u64) -> impl Iterator<Item = &'static Self> {
        FORMATS.iter().filter(move |format| format.bytes() == bytes)
    }

    /// Returns the number of bytes in a raw image of this format.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.layout.bytes()
    }

    /// Returns the formats with the next smaller and the next larger image than `bytes`, among those that are
    /// `suitable`.
    pub(super) fn nearest(bytes: u64, suitable: impl Fn(&Layout) -> bool) -> Vec<&'static Self> {
        let mut suitable = FORMATS.iter().filter(|format| suitable(&format.layout));
        let below = suitable.clone().rfind(|format| format.bytes() < bytes);
        let above = suitable.find(|format| format.bytes() > bytes);
        below.into_iter().chain(above).collect()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.layout)
    }
}

/// All formats that an image can have by its size, from the smallest image to the largest (§9.7).
#[rustfmt::skip]
pub static FORMATS: &[Format] = {
    use DataRate::{Kbps250, Kbps300, Kbps500, Kbps1000};
    use FormFactor::{Inch3_5, Inch5_25};
    use ImageType::{Dmf, HighDensity, HighDensityMss, LowDensity, LowDensitySingleSided, MediumDensity, Unknown};
    &[
        //      name                     image type             geometry
        regular("160K",                  Unknown,               known(40, 1,  8, 2, Kbps250, Inch5_25)),
        regular("180K",                  Unknown,               known(40, 1,  9, 2, Kbps250, Inch5_25)),
        regular("320K",                  Unknown,               known(40, 2,  8, 2, Kbps250, Inch5_25)),
        regular("360K",                  Unknown,               Geometry::DD_360K),
        regular("360K single-sided",     LowDensitySingleSided, known(80, 1,  9, 2, Kbps250, Inch3_5)),
        regular("400K",                  Unknown,               known(40, 2, 10, 2, Kbps250, Inch5_25)),
        regular("400K RX50",             Unknown,               known(80, 1, 10, 2, Kbps250, Inch5_25)),
        regular("410K",                  Unknown,               known(41, 2, 10, 2, Kbps250, Inch5_25)),
        regular("420K",                  Unknown,               known(42, 2, 10, 2, Kbps250, Inch5_25)),
        regular("640K",                  Unknown,               known(80, 2,  8, 2, Kbps250, Inch3_5)),
        regular("640K quad-density",     Unknown,               known(80, 2,  8, 2, Kbps250, Inch5_25)),
        regular("720K",                  LowDensity,            Geometry::DD_720K),
        regular("720K quad-density",     Unknown,               known(80, 2,  9, 2, Kbps250, Inch5_25)),
        regular("800K",                  Unknown,               known(80, 2, 10, 2, Kbps250, Inch3_5)),
        regular("800K quad-density",     Unknown,               known(80, 2, 10, 2, Kbps250, Inch5_25)),
        regular("820K",                  Unknown,               known(82, 2, 10, 2, Kbps250, Inch3_5)),
        regular("820K quad-density",     Unknown,               known(82, 2, 10, 2, Kbps250, Inch5_25)),
        regular("830K",                  Unknown,               known(83, 2, 10, 2, Kbps250, Inch3_5)),
        regular("830K quad-density",     Unknown,               known(83, 2, 10, 2, Kbps250, Inch5_25)),
        // 11 sectors just fit in 6,250 bytes per revolution. A 1.2M drive reads them at 300 kb/s, as Linux' "h880"
        // does.
        regular("880K",                  Unknown,               known(80, 2, 11, 2, Kbps250, Inch3_5)),
        regular("880K quad-density",     Unknown,               known(80, 2, 11, 2, Kbps250, Inch5_25)),
        // 13 and 14 sectors do not fit. The rate is Linux' 300 kb/s, not the 250 of other emulators.
        regular("1.04M",                 Unknown,               known(80, 2, 13, 2, Kbps300, Inch3_5)),
        regular("1.12M",                 Unknown,               known(80, 2, 14, 2, Kbps300, Inch3_5)),
        regular("1.2M",                  MediumDensity,         Geometry::HD_1200K),
        regular("1.23M",                 Unknown,               known(77, 2,  8, 3, Kbps500, Inch5_25)),
        regular("1.23M",                 Unknown,               known(77, 2,  8, 3, Kbps500, Inch3_5)),
        regular("1.28M",                 Unknown,               known(80, 2, 16, 2, Kbps500, Inch5_25)),
        regular("1.28M",                 Unknown,               known(80, 2, 16, 2, Kbps500, Inch3_5)),
        regular("1.36M",                 Unknown,               known(80, 2, 17, 2, Kbps500, Inch3_5)),
        regular("1.44M",                 HighDensity,           Geometry::HD_1440K),
        regular("1.44M",                 Unknown,               known(80, 2, 18, 2, Kbps500, Inch5_25)),
        regular("1.44M of 81 cylinders", Unknown,               known(81, 2, 18, 2, Kbps500, Inch3_5)),
        regular("1.476M",                Unknown,               known(82, 2, 18, 2, Kbps500, Inch3_5)),
        regular("1.476M",                Unknown,               known(82, 2, 18, 2, Kbps500, Inch5_25)),
        regular("1.494M",                Unknown,               known(83, 2, 18, 2, Kbps500, Inch3_5)),
        regular("1.494M",                Unknown,               known(83, 2, 18, 2, Kbps500, Inch5_25)),
        regular("1.44M of 84 cylinders", Unknown,               known(84, 2, 18, 2, Kbps500, Inch3_5)),
        Format { name: "XDF 5.25\"", image_type: HighDensityMss, layout: Layout::Xdf5_25 },
        regular("1.44M of 85 cylinders", Unknown,               known(85, 2, 18, 2, Kbps500, Inch3_5)),
        regular("1.6M",                  Unknown,               known(80, 2, 20, 2, Kbps500, Inch3_5)),
        regular("1.6M",                  Unknown,               known(80, 2, 20, 2, Kbps500, Inch5_25)),
        regular("1.64M",                 Unknown,               known(82, 2, 20, 2, Kbps500, Inch3_5)),
        regular("1.66M",                 Unknown,               known(83, 2, 20, 2, Kbps500, Inch3_5)),
        regular("1.68M DMF",             Dmf,                   known(80, 2, 21, 2, Kbps500, Inch3_5)),
        regular("1.722M",                Unknown,               known(82, 2, 21, 2, Kbps500, Inch3_5)),
        regular("1.743M",                Unknown,               known(83, 2, 21, 2, Kbps500, Inch3_5)),
        regular("1.76M",                 Unknown,               known(80, 2, 22, 2, Kbps500, Inch3_5)),
        regular("1.68M of 84 cylinders", Unknown,               known(84, 2, 21, 2, Kbps500, Inch3_5)),
        regular("1.68M of 85 cylinders", Unknown,               known(85, 2, 21, 2, Kbps500, Inch3_5)),
        // Not 1.84M: with their gaps, 23 sectors of 512 bytes do not fit on a track.
        Format { name: "XDF", image_type: HighDensityMss, layout: Layout::Xdf },
        regular("1.92M",                 Unknown,               known(80, 2, 24, 2, Kbps500, Inch3_5)),
        regular("2.88M",                 Unknown,               Geometry::ED_2880K),
        regular("3.12M",                 Unknown,               known(80, 2, 39, 2, Kbps1000, Inch3_5)),
        regular("3.2M",                  Unknown,               known(80, 2, 40, 2, Kbps1000, Inch3_5)),
        regular("3.52M",                 Unknown,               known(80, 2, 44, 2, Kbps1000, Inch3_5)),
        regular("3.84M",                 Unknown,               known(80, 2, 48, 2, Kbps1000, Inch3_5)),
    ]
};

/// Returns a row of [`FORMATS`] whose tracks are all alike.
const fn regular(name: &'static str, image_type: ImageType, geometry: Geometry) -> Format {
    Format { name, image_type, layout: Layout::Regular(geometry) }
}
