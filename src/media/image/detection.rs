//! Which layout a raw image has: by its size, by what the drive takes, and by its boot sector where the caller allows
//! it.

use super::{
    error::ImageError,
    file::LockedFile,
    options::{ImageOptions, Length},
};
use crate::media::{
    container,
    formats::{BiosParameters, Format, Layout},
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

/// Returns the layout of the disk in a file, for a drive that takes what `fits`.
pub(super) fn layout_of(
    file: &LockedFile,
    options: &ImageOptions,
    fits: impl Fn(&Layout) -> bool,
) -> Result<Layout, ImageError> {
    let bytes = file.length();
    if bytes == 0 {
        return Err(ImageError::Empty);
    }
    refuse_container(file, options)?;
    match options.layout() {
        Some(layout) if !options.length().allows(bytes, layout.bytes()) => Err(ImageError::WrongSize { bytes, layout }),
        Some(layout) if !fits(&layout) => Err(ImageError::WrongLayout(layout)),
        Some(layout) => Ok(layout),
        None => unnamed_layout_of(file, options, fits),
    }
}

/// Returns the one layout that an image of this size can have in a drive that takes what `fits`.
fn unnamed_layout_of(
    file: &LockedFile,
    options: &ImageOptions,
    fits: impl Fn(&Layout) -> bool,
) -> Result<Layout, ImageError> {
    let bytes = file.length();
    let candidates: Vec<_> = Format::of_size(bytes).collect();
    let parameters = options.boot_sector_geometry().then(|| boot_sector(file)).flatten();
    if candidates.is_empty() {
        let by_boot_sector = parameters.and_then(|parameters| parameters.layout(&fits));
        let by_boot_sector = by_boot_sector.filter(|layout| options.length().allows(bytes, layout.bytes()));
        return by_boot_sector.or_else(|| near(bytes, options.length(), &fits)).ok_or_else(|| {
            let candidates = Format::nearest(bytes, fits);
            ImageError::UnknownSize { bytes, candidates }
        });
    }
    let mut suitable: Vec<_> = candidates.iter().map(|format| format.layout).filter(|layout| fits(layout)).collect();
    if suitable.len() > 1 && options.boot_sector_geometry() {
        suitable.retain(|layout| parameters.is_some_and(|parameters| parameters.match_tracks(layout)));
        if suitable.is_empty() {
            let other = parameters.and_then(|parameters| parameters.layout(&fits));
            suitable.extend(other.filter(|layout| layout.bytes() == bytes));
        }
    }
    match suitable[..] {
        [layout] => Ok(layout),
        [] if !candidates.iter().any(|format| fits(&format.layout)) => {
            Err(ImageError::WrongDrive { bytes, candidates })
        }
        _ => Err(ImageError::AmbiguousSize { bytes, candidates }),
    }
}

/// Checks that a file whose size is not that of `layout`, or of any format if the caller names none, is no container. What
/// the file is comes before any talk of sizes.
///
/// A file of the right size is a raw image, whatever it begins with: a guest can write any bytes to its disk, and must
/// not be able to make its image one that does not attach again. For the same reason a file that the caller wants shorter or
/// longer than its disk is not checked.
fn refuse_container(file: &LockedFile, options: &ImageOptions) -> Result<(), ImageError> {
    let bytes = file.length();
    let by_layout = |layout: Layout| layout.bytes() == bytes;
    let right_size = options.layout().map_or_else(|| Format::of_size(bytes).next().is_some(), by_layout);
    if right_size || options.length() != Length::Exact {
        return Ok(());
    }
    match container::recognize_at(bytes, |part, offset| file.read_at(part, offset)) {
        Some(container) => Err(ImageError::Container { container }),
        None => Ok(()),
    }
}

/// Returns the BIOS parameter block in the first sector, or `None` if the file has no first sector.
fn boot_sector(file: &LockedFile) -> Option<BiosParameters> {
    let mut sector = [0; 512];
    file.read_at(&mut sector, 0).ok()?;
    Some(BiosParameters::from_boot_sector(&sector))
}
