//! The default boot disk. Its program is `fixtures/selftest.asm`, which describes what it does.

/// Program of the disk: the boot sector and the sectors that it loads.
const PROGRAM: &[u8] = include_bytes!("../../fixtures/selftest.bin");
const SECTORS: u16 = 2880;
const SECTOR: usize = 512;

/// Last line that the program prints if all tests pass.
pub const GOOD: &str = "vm-fdc: all sectors good";

/// Returns the image of a 1.44M disk with the program, and a test pattern in all other sectors.
pub fn disk() -> Vec<u8> {
    let mut disk: Vec<u8> = (0..SECTORS).flat_map(pattern).flat_map(u16::to_le_bytes).collect();
    disk[..PROGRAM.len()].copy_from_slice(PROGRAM);
    disk
}

/// Returns the same image after the program ran: it inverts the last sector.
pub fn disk_afterwards() -> Vec<u8> {
    let mut disk = disk();
    let last = disk.len() - SECTOR;
    disk[last..].iter_mut().for_each(|byte| *byte = !*byte);
    disk
}

/// Returns the words of a sector. `sector` counts from 0 over the whole disk.
fn pattern(sector: u16) -> impl Iterator<Item = u16> {
    let first = (sector + 1).wrapping_mul(0x9E37);
    (0..SECTOR as u16 / 2).map(move |word| first.wrapping_add(word))
}
