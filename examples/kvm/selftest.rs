//! The disk that is booted unless another is named. Its program is `fixtures/selftest.asm`, which says what it does.

/// The program: the boot sector and what it loads.
const PROGRAM: &[u8] = include_bytes!("../../fixtures/selftest.bin");
const SECTORS: u16 = 2880;
const SECTOR: usize = 512;

/// The last line that it prints when all went well.
pub const GOOD: &str = "vm-fdc: all sectors good";

/// A 1.44M disk with the program, and the pattern behind it.
pub fn disk() -> Vec<u8> {
    let mut disk: Vec<u8> = (0..SECTORS).flat_map(pattern).flat_map(u16::to_le_bytes).collect();
    disk[..PROGRAM.len()].copy_from_slice(PROGRAM);
    disk
}

/// The same disk as the program leaves it.
pub fn disk_afterwards() -> Vec<u8> {
    let mut disk = disk();
    let last = disk.len() - SECTOR;
    disk[last..].iter_mut().for_each(|byte| *byte = !*byte);
    disk
}

/// The words of a sector, counted from 0 on the whole disk.
fn pattern(sector: u16) -> impl Iterator<Item = u16> {
    let first = (sector + 1).wrapping_mul(0x9E37);
    (0..SECTOR as u16 / 2).map(move |word| first.wrapping_add(word))
}
