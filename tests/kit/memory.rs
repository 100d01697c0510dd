//! The memory that each of many machines takes for one image that all have: for a test and a bench. It replaces the
//! allocator of the process by one that counts.

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
#[allow(unsafe_code)] // To count what is allocated.
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

/// A way to attach the image.
struct Row {
    what: &'static str,
    /// The bytes that a machine takes more than one with an empty drive.
    bytes: usize,
    /// The most that it should take.
    limit: usize,
}

/// Returns the bytes that each of `count` values takes.
fn each<T>(count: usize, make: impl Fn() -> T) -> usize {
    let mut all = Vec::with_capacity(count);
    let before = ALLOCATED.load(Relaxed);
    all.extend((0..count).map(|_| make()));
    (ALLOCATED.load(Relaxed) - before) / count
}

/// Returns a machine with the image in its drive.
fn machine(image: Option<Image>) -> Controller {
    let machine = Controller::builder().drive(0, DriveType::Inch3_5Hd).build().expect("a machine");
    if let Some(image) = image {
        let drive = machine.drive(0).expect("a drive");
        drive.attach_opened_image(image).expect("the image attaches");
    }
    machine
}

/// Writes a sector of the image.
fn write(mut image: Image) -> Image {
    image.write(40, 0, 0, 1, Mark::Data).expect("a sector").fill(0xA5);
    image.finish_write(40, 0, 0, 1, Mark::Data);
    image
}

/// Measures each way with a thousand machines.
fn rows() -> Vec<Row> {
    let options = ImageOptions::new(Access::ReadOnly).with_geometry(Geometry::HD_1440K);
    let shared = SharedImage::open(IMAGE, options).expect("the image opens");
    let empty = each(MACHINES, || machine(None));
    let row = |what, limit, count, image: &dyn Fn() -> Image| {
        let bytes = each(count, || machine(Some(image()))) - empty;
        Row { what, bytes, limit }
    };
    vec![
        // Not a thousand, which would take 1.5 GB.
        row("read-only, each opened by itself", 1_600_000, 20, &|| Image::open(IMAGE, options).expect("an image")),
        row("read-only, shared", 2_000, MACHINES, &|| shared.read_only()),
        row("private, shared", 2_000, MACHINES, &|| shared.private()),
        row("private, shared, one sector written", 22_000, MACHINES, &|| write(shared.private())),
    ]
}

/// Prints the rows, and checks their limits.
pub fn print() {
    println!("bytes of memory for each machine with the image, above one with an empty drive:");
    for Row { what, bytes, limit } in rows() {
        println!("{bytes:>10}  {what}");
        assert!(bytes <= limit, "{what}: {bytes} bytes are more than {limit}");
    }
}
