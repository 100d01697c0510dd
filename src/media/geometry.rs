//! The floppy formats: how many cylinders, heads and sectors a raw image of a given size has.
//!
//! A raw image carries no header, so its size is all that tells. Sizes that two formats share are listed twice, and
//! whoever asks has to choose.

use std::fmt;

use super::DataRate;

/// The physical size of a disk or drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FormFactor {
    /// 5.25 inches.
    Inch5_25,
    /// 3.5 inches.
    Inch3_5,
}

impl fmt::Display for FormFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inch5_25 => "5.25\"",
            Self::Inch3_5 => "3.5\"",
        })
    }
}

/// The layout of a disk whose tracks are all alike: sectors of one size, numbered from 1, on each side.
///
/// Use a constant, one of the [`FORMATS`], or [`Geometry::new`] for any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "Numbers", into = "Numbers")
)]
pub struct Geometry {
    cylinders: u8,
    heads: u8,
    sectors: u8,
    size_code: u8,
    rate: DataRate,
    form_factor: FormFactor,
}

/// Why a geometry is none that a floppy drive could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// Not 1 to 86 cylinders.
    #[error("{0} cylinders; a floppy disk has 1 to 86")]
    Cylinders(u8),
    /// Not 1 or 2 heads.
    #[error("{0} heads; a floppy disk has 1 or 2")]
    Heads(u8),
    /// Not 1 to 63 sectors.
    #[error("{0} sectors a track; a floppy disk has 1 to 63")]
    Sectors(u8),
    /// A size code above 7.
    #[error("size code {0}; a sector has 128 << N bytes, N being 0 to 7")]
    SizeCode(u8),
    /// The sectors of a track hold more bytes than pass the head in a turn.
    #[error("{bytes} bytes a track; {capacity} pass the head in a turn at this rate")]
    TrackTooLong {
        /// Bytes that the sectors would hold.
        bytes: u32,
        /// Bytes that pass in a turn, gaps and marks included.
        capacity: u32,
    },
}

/// A geometry that nobody has checked: cylinders, heads, sectors, N, rate and form.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
struct Numbers(u8, u8, u8, u8, DataRate, FormFactor);

#[cfg(feature = "serde")]
impl TryFrom<Numbers> for Geometry {
    type Error = GeometryError;

    fn try_from(
        Numbers(cylinders, heads, sectors, size_code, rate, form_factor): Numbers,
    ) -> Result<Self, GeometryError> {
        Self::new(cylinders, heads, sectors, size_code, rate, form_factor)
    }
}

#[cfg(feature = "serde")]
impl From<Geometry> for Numbers {
    fn from(geometry: Geometry) -> Self {
        let Geometry { cylinders, heads, sectors, size_code, rate, form_factor } = geometry;
        Self(cylinders, heads, sectors, size_code, rate, form_factor)
    }
}

impl Geometry {
    /// The 360K disk of 5.25" drives.
    pub const DD_360K: Self = known(40, 2, 9, 2, DataRate::Kbps250, FormFactor::Inch5_25);
    /// The 720K disk of 3.5" drives.
    pub const DD_720K: Self = known(80, 2, 9, 2, DataRate::Kbps250, FormFactor::Inch3_5);
    /// The 1.2M disk of 5.25" drives.
    pub const HD_1200K: Self = known(80, 2, 15, 2, DataRate::Kbps500, FormFactor::Inch5_25);
    /// The 1.44M disk of 3.5" drives.
    pub const HD_1440K: Self = known(80, 2, 18, 2, DataRate::Kbps500, FormFactor::Inch3_5);
    /// The 2.88M disk of 3.5" drives.
    pub const ED_2880K: Self = known(80, 2, 36, 2, DataRate::Kbps1000, FormFactor::Inch3_5);

    /// A geometry from its numbers: 1 to 86 `cylinders`, 1 or 2 `heads`, 1 to 63 `sectors` a track of
    /// `128 << size_code` bytes, recorded at `rate` in a drive made for such disks (300 rpm, but 360 rpm for 5.25" at
    /// 300 or 500 kb/s).
    ///
    /// # Errors
    ///
    /// A [`GeometryError`] that names the first number out of range, or says that the sectors do not fit a track.
    ///
    /// ```
    /// use vm_fdc::media::{DataRate, FormFactor, Geometry};
    ///
    /// let geometry = Geometry::new(81, 2, 18, 2, DataRate::Kbps500, FormFactor::Inch3_5)?;
    /// assert_eq!(geometry.bytes(), 1_492_992);
    /// # Ok::<(), vm_fdc::media::GeometryError>(())
    /// ```
    pub const fn new(
        cylinders: u8,
        heads: u8,
        sectors: u8,
        size_code: u8,
        rate: DataRate,
        form_factor: FormFactor,
    ) -> Result<Self, GeometryError> {
        if cylinders == 0 || cylinders > 86 {
            return Err(GeometryError::Cylinders(cylinders));
        }
        if heads == 0 || heads > 2 {
            return Err(GeometryError::Heads(heads));
        }
        if sectors == 0 || sectors > 63 {
            return Err(GeometryError::Sectors(sectors));
        }
        if size_code > 7 {
            return Err(GeometryError::SizeCode(size_code));
        }
        let bytes = (sectors as u32) << (7 + size_code);
        let rpm = match (form_factor, rate) {
            (FormFactor::Inch5_25, DataRate::Kbps500 | DataRate::Kbps300) => 360,
            _ => 300,
        };
        let capacity = rate.bytes_per_turn(rpm);
        if bytes > capacity {
            return Err(GeometryError::TrackTooLong { bytes, capacity });
        }
        Ok(Self { cylinders, heads, sectors, size_code, rate, form_factor })
    }

    /// Cylinders, 1 to 86.
    #[must_use]
    pub const fn cylinders(&self) -> u8 {
        self.cylinders
    }

    /// Heads, 1 or 2.
    #[must_use]
    pub const fn heads(&self) -> u8 {
        self.heads
    }

    /// Sectors a track, 1 to 63, numbered from 1.
    #[must_use]
    pub const fn sectors(&self) -> u8 {
        self.sectors
    }

    /// N: each sector has `128 << N` bytes.
    #[must_use]
    pub const fn size_code(&self) -> u8 {
        self.size_code
    }

    /// Bytes in a sector.
    #[must_use]
    pub const fn sector_size(&self) -> usize {
        1 << self.size_shift()
    }

    pub(super) const fn size_shift(&self) -> u32 {
        7 + self.size_code as u32
    }

    /// The data rate in a drive made for such disks.
    #[must_use]
    pub const fn rate(&self) -> DataRate {
        self.rate
    }

    /// The kind of drive into which such a disk fits.
    #[must_use]
    pub const fn form_factor(&self) -> FormFactor {
        self.form_factor
    }

    /// The size of a raw image of such a disk.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        (self.cylinders as u64 * self.heads as u64 * self.sectors as u64) << (7 + self.size_code)
    }

    /// Where the sector in place `slot` of a track begins in a raw image: ascending cylinder, head, sector.
    #[inline]
    pub(super) fn offset(&self, cylinder: u8, head: u8, slot: usize) -> Option<usize> {
        let there = cylinder < self.cylinders && head < self.heads && slot < usize::from(self.sectors);
        let track = usize::from(cylinder) * usize::from(self.heads) + usize::from(head);
        there.then(|| (track * usize::from(self.sectors) + slot) << self.size_shift())
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cylinders, heads, sectors, rate, form_factor, .. } = self;
        write!(f, "{form_factor}, {cylinders}x{heads}x{sectors} of {} bytes at {rate}", self.sector_size())
    }
}

/// How the sectors of a disk lie on its tracks, and in its raw image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Layout {
    /// All tracks alike, with sectors of one size, which the image has in ascending order of cylinder, head and sector.
    Regular(Geometry),
    /// IBM's XDF on a 3.5" disk of 500 kb/s: 80 cylinders, of which each side but those of the first has a sector of each
    /// of 8,192, 2,048, 1,024 and 512 bytes. The image has them in an order of its own.
    Xdf,
}

impl Layout {
    /// The layout, if all its tracks are alike.
    #[must_use]
    pub const fn geometry(&self) -> Option<&Geometry> {
        match self {
            Self::Regular(geometry) => Some(geometry),
            Self::Xdf => None,
        }
    }

    /// Cylinders, 1 to 86.
    #[must_use]
    pub const fn cylinders(&self) -> u8 {
        match self {
            Self::Regular(geometry) => geometry.cylinders,
            Self::Xdf => 80,
        }
    }

    /// The data rate in a drive made for such disks.
    #[must_use]
    pub const fn rate(&self) -> DataRate {
        match self {
            Self::Regular(geometry) => geometry.rate,
            Self::Xdf => DataRate::Kbps500,
        }
    }

    /// The kind of drive into which such a disk fits.
    #[must_use]
    pub const fn form_factor(&self) -> FormFactor {
        match self {
            Self::Regular(geometry) => geometry.form_factor,
            Self::Xdf => FormFactor::Inch3_5,
        }
    }

    /// The size of a raw image of such a disk.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match self {
            Self::Regular(geometry) => geometry.bytes(),
            Self::Xdf => 80 * 2 * 23 * 512,
        }
    }

    /// What `VMFloppyDiskImageType` calls it.
    #[must_use]
    pub const fn image_type(&self) -> ImageType {
        let Self::Regular(Geometry { cylinders: 80, heads, sectors, size_code: 2, form_factor, .. }) = *self else {
            return if matches!(self, Self::Xdf) { ImageType::HighDensityMss } else { ImageType::Unknown };
        };
        match (form_factor, heads, sectors) {
            (FormFactor::Inch3_5, 1, 9) => ImageType::LowDensitySingleSided,
            (FormFactor::Inch3_5, 2, 9) => ImageType::LowDensity,
            (FormFactor::Inch3_5, 2, 18) => ImageType::HighDensity,
            (FormFactor::Inch3_5, 2, 21) => ImageType::Dmf,
            (FormFactor::Inch5_25, 2, 15) => ImageType::MediumDensity,
            _ => ImageType::Unknown,
        }
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
            Self::Xdf => {
                write!(f, "{}, 80x2 tracks of sectors of several sizes at {}", self.form_factor(), self.rate())
            }
        }
    }
}

/// What kind of disk an image holds, as `VMFloppyDiskImageType` numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ImageType {
    /// None of those below.
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

/// A disk format that is in use under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// What users call it, as "1.44M".
    pub name: &'static str,
    /// The size of its raw image.
    pub bytes: u64,
    /// How its sectors lie.
    pub layout: Layout,
}

impl Format {
    /// All formats whose raw image has exactly `bytes` bytes.
    ///
    /// ```
    /// use vm_fdc::media::Format;
    ///
    /// let names: Vec<_> = Format::of_size(737_280).map(|format| format.to_string()).collect();
    /// assert_eq!(names[0], "720K (3.5\", 80x2x9 of 512 bytes at 250 kb/s)");
    /// assert_eq!(names.len(), 2); // the other is 5.25"
    /// ```
    pub fn of_size(bytes: u64) -> impl Iterator<Item = &'static Self> {
        FORMATS.iter().filter(move |format| format.bytes == bytes)
    }

    /// The formats with the next smaller and the next larger image than `bytes`, among those that are `suitable`.
    pub(super) fn nearest(bytes: u64, suitable: impl Fn(&Layout) -> bool) -> Vec<&'static Self> {
        let mut suitable = FORMATS.iter().filter(|format| suitable(&format.layout));
        let below = suitable.clone().rfind(|format| format.bytes < bytes);
        let above = suitable.find(|format| format.bytes > bytes);
        below.into_iter().chain(above).collect()
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.layout)
    }
}

/// Every format that is known by its size, from the smallest image to the largest.
pub static FORMATS: &[Format] = {
    use DataRate::{Kbps250, Kbps300, Kbps500, Kbps1000};
    use FormFactor::{Inch3_5, Inch5_25};
    &[
        format("160K", 40, 1, 8, 2, Kbps250, Inch5_25),
        format("180K", 40, 1, 9, 2, Kbps250, Inch5_25),
        format("320K", 40, 2, 8, 2, Kbps250, Inch5_25),
        format("360K", 40, 2, 9, 2, Kbps250, Inch5_25),
        format("360K single-sided", 80, 1, 9, 2, Kbps250, Inch3_5),
        format("400K", 40, 2, 10, 2, Kbps250, Inch5_25),
        format("410K", 41, 2, 10, 2, Kbps250, Inch5_25),
        format("420K", 42, 2, 10, 2, Kbps250, Inch5_25),
        format("720K", 80, 2, 9, 2, Kbps250, Inch3_5),
        format("720K quad-density", 80, 2, 9, 2, Kbps250, Inch5_25),
        format("800K", 80, 2, 10, 2, Kbps250, Inch3_5),
        format("820K", 82, 2, 10, 2, Kbps250, Inch3_5),
        format("830K", 83, 2, 10, 2, Kbps250, Inch3_5),
        // Eleven sectors just fit 6,250 bytes a turn; a 1.2M drive reads them at 300 kb/s, as Linux' "h880" does.
        format("880K", 80, 2, 11, 2, Kbps250, Inch3_5),
        format("880K quad-density", 80, 2, 11, 2, Kbps250, Inch5_25),
        // Thirteen and fourteen do not: Linux' 300 kb/s, not the 250 of other emulators.
        format("1.04M", 80, 2, 13, 2, Kbps300, Inch3_5),
        format("1.12M", 80, 2, 14, 2, Kbps300, Inch3_5),
        format("1.2M", 80, 2, 15, 2, Kbps500, Inch5_25),
        format("1.23M", 77, 2, 8, 3, Kbps500, Inch5_25),
        format("1.23M", 77, 2, 8, 3, Kbps500, Inch3_5),
        format("1.28M", 80, 2, 16, 2, Kbps500, Inch5_25),
        format("1.28M", 80, 2, 16, 2, Kbps500, Inch3_5),
        format("1.44M", 80, 2, 18, 2, Kbps500, Inch3_5),
        format("1.44M", 80, 2, 18, 2, Kbps500, Inch5_25),
        format("1.44M of 81 cylinders", 81, 2, 18, 2, Kbps500, Inch3_5),
        format("1.476M", 82, 2, 18, 2, Kbps500, Inch3_5),
        format("1.494M", 83, 2, 18, 2, Kbps500, Inch3_5),
        format("1.6M", 80, 2, 20, 2, Kbps500, Inch3_5),
        format("1.6M", 80, 2, 20, 2, Kbps500, Inch5_25),
        format("1.68M DMF", 80, 2, 21, 2, Kbps500, Inch3_5),
        format("1.722M", 82, 2, 21, 2, Kbps500, Inch3_5),
        format("1.743M", 83, 2, 21, 2, Kbps500, Inch3_5),
        format("1.76M", 80, 2, 22, 2, Kbps500, Inch3_5),
        format("1.84M", 80, 2, 23, 2, Kbps500, Inch3_5),
        Format { name: "XDF", bytes: Layout::Xdf.bytes(), layout: Layout::Xdf },
        format("1.92M", 80, 2, 24, 2, Kbps500, Inch3_5),
        format("2.88M", 80, 2, 36, 2, Kbps1000, Inch3_5),
        format("3.12M", 80, 2, 39, 2, Kbps1000, Inch3_5),
        format("3.2M", 80, 2, 40, 2, Kbps1000, Inch3_5),
        format("3.52M", 80, 2, 44, 2, Kbps1000, Inch3_5),
        format("3.84M", 80, 2, 48, 2, Kbps1000, Inch3_5),
    ]
};

/// One row of [`FORMATS`].
const fn format(
    name: &'static str,
    cylinders: u8,
    heads: u8,
    sectors: u8,
    size_code: u8,
    rate: DataRate,
    form_factor: FormFactor,
) -> Format {
    let geometry = known(cylinders, heads, sectors, size_code, rate, form_factor);
    Format { name, bytes: geometry.bytes(), layout: Layout::Regular(geometry) }
}

/// A geometry of this file, checked when the crate is compiled.
const fn known(
    cylinders: u8,
    heads: u8,
    sectors: u8,
    size_code: u8,
    rate: DataRate,
    form_factor: FormFactor,
) -> Geometry {
    match Geometry::new(cylinders, heads, sectors, size_code, rate, form_factor) {
        Ok(geometry) => geometry,
        Err(_) => panic!("a disk that no floppy drive could hold"),
    }
}
