//! The memory that each machine takes for one image that many have. A binary of its own, because it counts what the whole
//! process allocates.
#![allow(unsafe_code)] // To count what is allocated.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use vm_fdc::{
    Controller,
    drive::DriveType,
    media::{Access, Geometry, Image, ImageOptions, Mark, Medium, SharedImage},
};

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it is the allocator of the system, and a count.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Relaxed);
        // SAFETY: what the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MACHINES: usize = 1_000;
const IMAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/dos-1440k.img");

/// The bytes that each of `count` values takes.
fn each<T>(count: usize, make: impl Fn() -> T) -> usize {
    let mut all = Vec::with_capacity(count);
    let before = ALLOCATED.load(Relaxed);
    all.extend((0..count).map(|_| make()));
    (ALLOCATED.load(Relaxed) - before) / count
}

#[test]
fn a_thousand_machines_share_the_bytes_of_one_image() {
    let options = ImageOptions::new(Access::ReadOnly).with_geometry(Geometry::HD_1440K);
    let shared = SharedImage::open(IMAGE, options).unwrap();
    let machine = |image: Option<Image>| {
        let machine = Controller::builder().drive(0, DriveType::Inch3_5Hd).build().unwrap();
        if let Some(image) = image {
            machine.drive(0).unwrap().attach_opened_image(image).unwrap();
        }
        machine
    };
    let write = |mut image: Image| {
        image.write(40, 0, 0, 1, Mark::Data).unwrap().fill(0xA5);
        image.finish_write(40, 0, 0, 1, Mark::Data);
        image
    };
    let empty = each(MACHINES, || machine(None));
    let rows = [
        (
            "read-only, each opened by itself",
            each(20, || machine(Some(Image::open(IMAGE, options).unwrap()))),
            1_600_000,
        ),
        ("read-only, shared", each(MACHINES, || machine(Some(shared.read_only()))), 2_000),
        ("private, shared", each(MACHINES, || machine(Some(shared.private()))), 2_000),
        ("private, shared, one sector written", each(MACHINES, || machine(Some(write(shared.private())))), 22_000),
    ];
    println!("bytes of memory for each machine with the image, above one with an empty drive:");
    for (what, bytes, limit) in rows {
        println!("{:>10}  {what}", bytes - empty);
        assert!(bytes - empty <= limit, "{what}: {} bytes", bytes - empty);
    }
}
