//! The text screen of a VGA adapter: the memory of its characters, for guests that print without the firmware. It is
//! plain memory; there are no registers, and no cursor.

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

const CHARACTERS: GuestAddress = GuestAddress(0xB8000);
const ROWS: usize = 25;
const COLUMNS: usize = 80;
/// Each character is a byte of code page 437, followed by a byte with its colours.
const CHARACTER: usize = 2;

pub struct Screen {
    memory: GuestMemoryMmap,
}

impl Screen {
    pub fn new(memory: GuestMemoryMmap) -> Self {
        Self { memory }
    }

    /// Returns the rows without the blanks at their ends. All that is not ASCII is a blank.
    pub fn rows(&self) -> Vec<String> {
        let mut cells = [0; ROWS * COLUMNS * CHARACTER];
        if self.memory.read_slice(&mut cells, CHARACTERS).is_err() {
            return Vec::new();
        }
        let rows = cells.chunks(COLUMNS * CHARACTER).map(|row| {
            let row: String = row.iter().step_by(CHARACTER).map(|&byte| printable(byte)).collect();
            row.trim_end().to_owned()
        });
        rows.collect()
    }
}

fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() { byte.into() } else { ' ' }
}
