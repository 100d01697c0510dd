//! Which layout a raw image has: by its size, by what the drive takes, and by its boot sector where the caller allows
//! it.

use super::{
    error::ImageError,
    file::LockedFile,
    options::{ImageOptions, Length},
};
use crate::media::{
    formats::{Format, Layout},
    geometry::Geometry,
};

/// The disks of which a file can be shorter or longer without a layout that is named, the most usual one first.
const USUAL: [Layout; 5] = [
    Layout::Regular(Geometry::HD_1440K),
    Layout::Regular(Geometry::HD_1200K),
    Layout::Regular(Geometry::ED_2880K),
    Layout::Regular(Geometry::DD_720K),
    Layout::Regular(Geometry::DD_360K),
];

/// The most bytes behind a disk whose layout is not named.
const MOST_BEHIND: u64 = 0x1_0000;

/// Returns the layout of a file that is longer or shorter than its disk, or `None` if no disk is near enough.
fn near(bytes: u64, length: Length, fits: impl Fn(&Layout) -> bool) -> Option<Layout> {
    let usual = || USUAL.into_iter().filter(&fits);
    let shorter = usual().filter(|disk| (1..=MOST_BEHIND).contains(&bytes.saturating_sub(disk.bytes())));
    let shorter = shorter.max_by_key(Layout::bytes).filter(|_| length.truncates());
    shorter.or_else(|| usual().find(|disk| disk.bytes() > bytes).filter(|_| length.pads()))
}

/// Returns the one layout that an image of this size can have in a drive that takes what `fits`.
pub(super) fn layout_of(
    file: &LockedFile,
    options: &ImageOptions,
    fits: impl Fn(&Layout) -> bool,
) -> Result<Layout, ImageError> {
    let bytes = file.length();
    let candidates: Vec<_> = Format::of_size(bytes).collect();
    if candidates.is_empty() {
        if let Some(layout) = near(bytes, options.length(), &fits) {
            return Ok(layout);
        }
        return Err(ImageError::UnknownSize { bytes, candidates: Format::nearest(bytes, fits) });
    }
    let mut suitable: Vec<_> = candidates.iter().map(|format| format.layout).filter(|layout| fits(layout)).collect();
    // The boot sector of an XDF disk is that of a disk of 23 sectors per track.
    if suitable.len() > 1 && options.boot_sector_tiebreak() && !suitable.contains(&Layout::Xdf) {
        let parameters = BiosParameters::read(file);
        suitable.retain(|layout| parameters.is_some_and(|parameters| parameters.match_layout(layout)));
    }
    match suitable[..] {
        [layout] => Ok(layout),
        [] if !candidates.iter().any(|format| fits(&format.layout)) => {
            Err(ImageError::WrongDrive { bytes, candidates })
        }
        _ => Err(ImageError::AmbiguousSize { bytes, candidates }),
    }
}

/// The layout in the BIOS parameter block of the first sector.
#[derive(Clone, Copy)]
struct BiosParameters {
    bytes_per_sector: u16,
    sectors_per_track: u16,
    heads: u16,
}

impl BiosParameters {
    fn read(file: &LockedFile) -> Option<Self> {
        let mut sector = [0; 512];
        file.read_at(&mut sector, 0).ok()?;
        let word = |at: usize| u16::from_le_bytes([sector[at], sector[at + 1]]);
        Some(Self { bytes_per_sector: word(0x0B), sectors_per_track: word(0x18), heads: word(0x1A) })
    }

    fn match_layout(self, layout: &Layout) -> bool {
        layout.geometry().is_some_and(|geometry| {
            usize::from(self.bytes_per_sector) == geometry.sector_size()
                && self.sectors_per_track == u16::from(geometry.sectors())
                && self.heads == u16::from(geometry.heads())
        })
    }
}
