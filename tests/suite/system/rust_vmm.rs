//! Guest memory of `vm-memory` behind the DMA controllers: holes, the ends of memory, and dirty pages for a migration.
#![cfg(feature = "vm-memory")]

use std::sync::Arc;

use super::kit::fixture;
use vm_fdc::{
    Controller, OnRise,
    dma::GuestMemory,
    drive::DriveType,
    media::Access,
    pc::{PcFloppy, Wiring},
    rust_vmm::VmMemory,
};
use vm_memory::{
    Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion,
    bitmap::{AtomicBitmap, Bitmap},
};

const PAGE: u64 = 4096;

/// Returns memory from 0 to 0x8000 and from 0xC000 to 0x1_0000.
fn with_a_hole() -> Arc<GuestMemoryMmap<AtomicBitmap>> {
    let ranges = [(GuestAddress(0), 0x8000), (GuestAddress(0xC000), 0x4000)];
    Arc::new(GuestMemoryMmap::from_ranges(&ranges).unwrap())
}

fn dirty(memory: &GuestMemoryMmap<AtomicBitmap>) -> Vec<u64> {
    let pages = |start: u64, length: u64| (start..start + length).step_by(PAGE as usize);
    memory
        .iter()
        .flat_map(|region| {
            let start = region.start_addr().0;
            pages(start, region.len()).filter(move |page| region.bitmap().dirty_at((page - start) as usize))
        })
        .collect()
}

#[test]
fn writes_reach_existing_memory_and_mark_it_dirty() {
    let memory = with_a_hole();
    let data: Vec<u8> = (0..0x6000u32).map(|n| (n % 251) as u8).collect();
    VmMemory(Arc::clone(&memory)).write(0x7000, &data);
    let mut there = vec![0; 0x1000];
    memory.read_slice(&mut there, GuestAddress(0x7000)).unwrap();
    assert_eq!(there, data[..0x1000]);
    memory.read_slice(&mut there, GuestAddress(0xC000)).unwrap();
    assert_eq!(there, data[0x5000..]);
    assert_eq!(dirty(&memory), [0x7000, 0xC000]);
}

#[test]
fn addresses_without_memory_read_as_ones() {
    let memory = with_a_hole();
    memory.write_slice(&[0x11; 0x1000], GuestAddress(0x7000)).unwrap();
    memory.write_slice(&[0x22; 0x1000], GuestAddress(0xC000)).unwrap();
    let mut data = vec![0; 0x6000];
    VmMemory(Arc::clone(&memory)).read(0x7000, &mut data);
    assert_eq!(data[..0x1000], [0x11; 0x1000]);
    assert_eq!(data[0x1000..0x5000], [0xFF; 0x4000]);
    assert_eq!(data[0x5000..], [0x22; 0x1000]);
    for address in [0x1_0000, u64::MAX - 1, u64::MAX] {
        let mut data = [0; 4];
        VmMemory(Arc::clone(&memory)).read(address, &mut data);
        assert_eq!(data, [0xFF; 4], "{address:#x}");
        VmMemory(Arc::clone(&memory)).write(address, &data);
    }
}

#[test]
fn a_sector_arrives_through_the_ports_and_its_page_is_dirty() {
    let memory = with_a_hole();
    let space = GuestMemoryAtomic::from(Arc::clone(&memory));
    let (sender, edges) = std::sync::mpsc::channel();
    let controller =
        Controller::builder().drive(0, DriveType::Inch3_5Hd).interrupt(OnRise(move || sender.send(()).unwrap()));
    let mut floppy = PcFloppy::new(controller, VmMemory(space.clone()), Wiring::PRIMARY).unwrap();
    floppy.drive(0).unwrap().attach_image(fixture("dos-1440k.img"), Access::ReadOnly).unwrap();
    floppy.write(0x3F2, &[0x1C]);
    assert_eq!(edges.try_iter().count(), 1);
    floppy.write(0x3F7, &[0]);
    for (port, value) in
        [(0x0A, 6), (0x0C, 0), (0x0B, 0x46), (0x04, 0), (0x04, 0x20), (0x81, 0), (0x05, 0xFF), (0x05, 1), (0x0A, 2)]
    {
        floppy.write(port, &[value]);
    }
    for byte in [0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF] {
        floppy.write(0x3F5, &[byte]);
    }
    assert_eq!(edges.try_iter().count(), 1);
    let mut sector = [0; 512];
    space.memory().read_slice(&mut sector, GuestAddress(0x2000)).unwrap();
    assert_eq!(sector[510..], [0x55, 0xAA]);
    assert_eq!(dirty(&memory), [0x2000]);
}
