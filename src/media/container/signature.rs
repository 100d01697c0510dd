//! Which container a file is, by its signature.
//!
//! A signature of two or three bytes can begin any file, so the fields that follow it must make sense, too. Formats
//! without a signature are recognised by a header whose numbers agree with each other and with the length of the file.

use super::{
    bytes::{long, word},
    d88,
    kind::Container,
};

/// How many bytes from the start of a file [`recognize`] looks at, at most.
pub(super) const HEAD: usize = 1024;
/// How many bytes at the end of a file it looks at.
pub(super) const TAIL: usize = 512;

/// Signatures that are long enough to stand alone, at the start of a file.
const LONG: &[(&[u8], Container)] = &[
    (b"IMD ", Container::ImageDisk),
    (b"HXCPICFE", Container::Hfe),
    (b"HXCHFEV3", Container::Hfe),
    (b"86BF", Container::Image86F),
    (b"Formatted Disk Image file", Container::Fdi),
    (b"EXTENDED CPC DSK", Container::CpcDsk),
    (b"MV - CPC", Container::CpcDsk),
    (b"CAPS\0\0\0\x0C", Container::Ipf),
    (b"PSI \0\0\0\x04", Container::Psi),
    (b"PK\x03\x04", Container::Zip),
    (b"PK\x05\x06", Container::Zip),
    (b"PK\x07\x08", Container::Zip),
    (b"\xFD7zXZ\0", Container::Xz),
    (b"7z\xBC\xAF\x27\x1C", Container::SevenZip),
    (b"QFI\xFB", Container::Qcow2),
    (b"conectix", Container::Vhd),
    (b"vhdxfile", Container::Vhdx),
    (b"KDMV", Container::Vmdk),
];

/// Whether the fields of a header agree with each other and with the length of the file.
type Check = fn(&[u8], u64) -> bool;

/// Signatures of a few bytes, at the start of a file whose header agrees with itself. From the longest to the shortest.
const SHORT: &[(&[u8], Check, Container)] = &[
    (b"CQ\x14", is_copy_qm, Container::CopyQm),
    (b"\x1F\x8B\x08", is_gzip, Container::Gzip),
    (b"FDI", is_spectrum_fdi, Container::Fdi),
    (b"\xAA\x58", is_save_dskf, Container::SaveDskF),
    (b"\xAA\x59", is_save_dskf, Container::SaveDskF),
    (b"\xAA\x5A", is_save_dskf, Container::SaveDskF),
    (b"TD", is_teledisk, Container::Teledisk),
    (b"td", is_teledisk, Container::CompressedTeledisk),
];

/// Returns the container with these first and last bytes and this length, or `None` if there is no signature.
///
/// `head` has the first [`HEAD`] bytes of the file and `tail` the last [`TAIL`], or all if there are fewer.
pub(super) fn recognize(head: &[u8], tail: &[u8], length: u64) -> Option<Container> {
    if let Some((_, container)) = LONG.iter().find(|(signature, _)| head.starts_with(signature)) {
        return Some(*container);
    }
    // A fixed VHD is a raw image followed by a footer.
    if tail.len() == TAIL && tail.starts_with(b"conectix") {
        return Some(Container::Vhd);
    }
    let short = SHORT.iter().find(|(signature, check, _)| head.starts_with(signature) && check(head, length));
    if let Some((.., container)) = short {
        Some(*container)
    } else if is_anex86_fdi(head, length) {
        Some(Container::Fdi)
    } else {
        d88::has_header(head, length).then_some(Container::D88)
    }
}

fn is_copy_qm(head: &[u8], _length: u64) -> bool {
    let header = head.get(..133);
    header.is_some_and(|header| header.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0)
}

fn is_gzip(head: &[u8], _length: u64) -> bool {
    // The upper flags are reserved.
    head.get(3).is_some_and(|flags| flags & 0xE0 == 0)
}

/// The format of emulators of the Sinclair Spectrum: write protection, cylinders, heads, and offsets in the file.
fn is_spectrum_fdi(head: &[u8], length: u64) -> bool {
    let Some(header) = head.get(..14) else { return false };
    let (cylinders, heads) = (word(header, 4), word(header, 6));
    let offsets_fit = [8, 10].iter().all(|&at| u64::from(word(header, at)) <= length);
    header[3] <= 1 && (1..=256).contains(&cylinders) && (1..=2).contains(&heads) && offsets_fit
}

/// The format of the emulator Anex86: a header of 4,096 bytes with the geometry, without a signature.
fn is_anex86_fdi(head: &[u8], length: u64) -> bool {
    let Some(header) = head.get(..32) else { return false };
    let [_, _, own, data, size, sectors, heads, cylinders] = [0, 4, 8, 12, 16, 20, 24, 28].map(|at| long(header, at));
    let product = [size, sectors, heads, cylinders].into_iter().try_fold(1u32, u32::checked_mul);
    long(header, 0) == 0
        && own == 4096
        && data != 0
        && product == Some(data)
        && u64::from(own) + u64::from(data) == length
}

fn is_save_dskf(head: &[u8], _length: u64) -> bool {
    let Some(header) = head.get(..40) else { return false };
    let (size, fats) = (word(header, 3), header[10]);
    size.is_power_of_two() && (128..=4096).contains(&size) && fats <= 2 && long(header, 30) == 0
}

fn is_teledisk(head: &[u8], _length: u64) -> bool {
    // Volume of a set, and version times ten.
    head.get(..12).is_some_and(|header| header[2] <= 15 && (10..=39).contains(&header[4]))
}

#[cfg(test)]
mod tests {
    use super::{LONG, SHORT};

    /// `tests/suite/media/guide.rs` makes the table from files. It cannot see whether there is one for each signature.
    #[test]
    fn the_guide_has_each_signature() {
        let guide = include_str!("../../../docs/guide.md");
        let long = LONG.iter().map(|&(signature, container)| (signature, container));
        for (signature, container) in long.chain(SHORT.iter().map(|&(signature, _, container)| (signature, container)))
        {
            let row = guide.lines().find(|line| line.starts_with(&format!("| {container} |"))).expect("a row");
            assert!(row.contains(&format!("`{}`", signature.escape_ascii())), "{}: {row}", signature.escape_ascii());
        }
    }
}
