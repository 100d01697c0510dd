//! The firmware configuration device of QEMU, with I/O ports: SeaBIOS reads named files from it. Without it the
//! firmware expects real hardware, and waits for keys.

use std::collections::BTreeMap;

const SIGNATURE: u16 = 0x00;
const ID: u16 = 0x01;
const DIRECTORY: u16 = 0x19;
const FIRST_FILE: u16 = 0x20;
const NAME: usize = 56;

#[derive(Default)]
pub struct FwCfg {
    items: BTreeMap<u16, Vec<u8>>,
    selected: u16,
    offset: usize,
}

impl FwCfg {
    /// Creates the device with files that contain a number each.
    pub fn new(files: &[(&str, u16)]) -> Self {
        let mut items = BTreeMap::from([(SIGNATURE, b"QEMU".to_vec()), (ID, vec![1, 0, 0, 0])]);
        let mut directory = (files.len() as u32).to_be_bytes().to_vec();
        for (key, (name, value)) in (FIRST_FILE..).zip(files) {
            let content = value.to_le_bytes().to_vec();
            directory.extend((content.len() as u32).to_be_bytes());
            directory.extend(key.to_be_bytes());
            directory.extend([0; 2]);
            directory.extend(name.bytes().chain(std::iter::repeat(0)).take(NAME));
            items.insert(key, content);
        }
        items.insert(DIRECTORY, directory);
        Self { items, ..Self::default() }
    }

    /// Selects an item and its first byte.
    pub fn select(&mut self, item: u16) {
        (self.selected, self.offset) = (item, 0);
    }

    /// Reads the next byte of the item; 0 after its end.
    pub fn read(&mut self) -> u8 {
        let byte = self.items.get(&self.selected).and_then(|item| item.get(self.offset));
        self.offset = self.offset.saturating_add(1);
        byte.copied().unwrap_or(0)
    }
}
