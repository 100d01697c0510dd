//! Which layout a raw image has: by its size, by what the drive takes, and by its boot sector where the caller allows
//! it.

use super::{error::ImageError, file::LockedFile};
use crate::media::container::Container;
use crate::media::formats::{Format, Layout};

/// Returns the one layout that an image of this size can have in a drive that takes what `fits`.
pub(super) fn layout_of(
    file: &LockedFile,
    boot_sector_tiebreak: bool,
    fits: impl Fn(&Layout) -> bool,
) -> Result<Layout, ImageError> {
    let bytes = file.length();
    let candidates: Vec<_> = Format::of_size(bytes).collect();
    if candidates.is_empty() {
        return Err(ImageError::UnknownSize { bytes, candidates: Format::nearest(bytes, fits) });
    }
    let mut suitable: Vec<_> = candidates.iter().map(|format| format.layout).filter(|layout| fits(layout)).collect();
    // The boot sector of an XDF disk is that of a disk of 23 sectors per track.
    if suitable.len() > 1 && boot_sector_tiebreak && !suitable.contains(&Layout::Xdf) {
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

/// Checks that a file whose size is not that of `layout`, or of any format if the caller names none, is no container. What
/// the file is comes before any talk of sizes.
///
/// A file of the right size is a raw image, whatever it begins with: a guest can write any bytes to its disk, and must
/// not be able to make its image one that does not attach again.
pub(super) fn refuse_container(file: &LockedFile, layout: Option<Layout>) -> Result<(), ImageError> {
    let bytes = file.length();
    if layout.map_or_else(|| Format::of_size(bytes).next().is_some(), |layout| layout.bytes() == bytes) {
        return Ok(());
    }
    match Container::recognize_at(bytes, |part, offset| file.read_at(part, offset)) {
        Some(container) => Err(ImageError::Container { container }),
        None => Ok(()),
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
