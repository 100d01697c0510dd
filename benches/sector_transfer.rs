//! What a transfer costs, next to a plain copy of the same bytes, in the same pieces, from a mapping of the same file.
//!
//! Each READ DATA or WRITE DATA is 32 port accesses, as a driver makes them: the MSR is asked before each of nine
//! command and seven result bytes. CONFIGURE has turned implied seeks on, so that these are all the accesses of a whole
//! disk. The DMA channel is in autoinitialise mode, so that it serves one command after the other; the rows "8237A
//! programmed" set it up anew for each, nine more accesses. What arrived is compared outside the part that is timed.

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::{hint::black_box, io::Write};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kit::{BUFFER, Guest, MSR, Sectors};
use memmap2::{Mmap, MmapMut};
use tempfile::NamedTempFile;
use vm_fdc::{drive::DriveType, media::Access};

const SECTOR: usize = 512;
const CYLINDER: usize = 36 * SECTOR;
const DISK: usize = 80 * CYLINDER;
/// Autoinitialise, single transfers.
const READ_AGAIN: u8 = 0x56;
const WRITE_AGAIN: u8 = 0x5A;

/// A 1.44M image in which no sector is like another.
fn disk() -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    let words = (0u32..).flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes());
    file.write_all(&words.take(DISK).collect::<Vec<_>>()).expect("an image");
    file
}

/// A guest with the disk in its drive, and implied seeks on.
fn guest(disk: &NamedTempFile) -> Guest {
    let (mut guest, drive) = Guest::with_drive(DriveType::Inch3_5Hd);
    drive.attach_image(disk.path(), Access::ReadWrite).expect("the image attaches");
    guest.bus.write(kit::CCR, 0);
    guest.command(&[0x13, 0x00, 0x60, 0x00]);
    guest
}

/// The commands that move a disk in pieces of `bytes`.
fn commands(bytes: usize) -> impl Iterator<Item = Sectors> {
    (0..DISK / bytes).map(move |piece| {
        let sector = piece * bytes / SECTOR;
        let (cylinder, head, record) = ((sector / 36) as u8, (sector / 18 % 2) as u8, (sector % 18) as u8 + 1);
        Sectors { cylinder, head, record, bytes, end_of_track: 18 }
    })
}

/// The whole disk in pieces of a cylinder and of a sector, read and written, each beside the copy that it amounts to.
fn whole_disk(criterion: &mut Criterion) {
    let disk = disk();
    let mut guest = guest(&disk);
    let image = std::fs::read(disk.path()).expect("the image");
    for (name, bytes) in [("cylinder", CYLINDER), ("sector", SECTOR)] {
        let commands: Vec<_> = commands(bytes).collect();
        for (&sectors, expected) in commands.iter().zip(image.chunks(bytes)) {
            guest.read_dma(sectors).expect("the disk reads");
            assert_eq!(guest.buffer(bytes), expected);
        }

        let mut group = criterion.benchmark_group(format!("read disk by {name}"));
        group.throughput(Throughput::Bytes(DISK as u64));
        group.bench_function("memcpy", |bencher| {
            let file = disk.reopen().expect("the image opens");
            // SAFETY: nothing truncates the temporary file while it is mapped.
            #[allow(unsafe_code)]
            let map = unsafe { Mmap::map(&file) }.expect("the image maps");
            bencher.iter(|| {
                map.chunks_exact(bytes).for_each(|piece| black_box(guest.buffer_mut(bytes)).copy_from_slice(piece))
            });
        });
        group.bench_function("READ DATA", |bencher| {
            guest.program_dma(READ_AGAIN, BUFFER, bytes);
            bencher.iter(|| {
                commands.iter().for_each(|&sectors| {
                    black_box(guest.read_again(sectors).unwrap());
                })
            });
        });
        group.bench_function("READ DATA, 8237A programmed", |bencher| {
            bencher.iter(|| {
                commands.iter().for_each(|&sectors| {
                    black_box(guest.read_dma(sectors).unwrap());
                })
            });
        });
        group.finish();

        let mut group = criterion.benchmark_group(format!("write disk by {name}"));
        group.throughput(Throughput::Bytes(DISK as u64));
        group.bench_function("memcpy", |bencher| {
            let file = disk.reopen().expect("the image opens");
            // SAFETY: nothing truncates the temporary file while it is mapped.
            #[allow(unsafe_code)]
            let mut map = unsafe { MmapMut::map_mut(&file) }.expect("the image maps");
            bencher.iter(|| {
                map.chunks_exact_mut(bytes).for_each(|piece| piece.copy_from_slice(black_box(guest.buffer(bytes))))
            });
        });
        guest.buffer_mut(bytes).copy_from_slice(&image[..bytes]);
        group.bench_function("WRITE DATA", |bencher| {
            guest.program_dma(WRITE_AGAIN, BUFFER, bytes);
            bencher.iter(|| {
                commands.iter().for_each(|&sectors| {
                    black_box(guest.write_again(sectors).unwrap());
                })
            });
        });
        group.bench_function("WRITE DATA, 8237A programmed", |bencher| {
            bencher.iter(|| {
                commands.iter().for_each(|&sectors| {
                    black_box(guest.write_dma(sectors).unwrap());
                })
            });
        });
        group.finish();
        let written = std::fs::read(disk.path()).expect("the image");
        assert!(written.chunks(bytes).all(|piece| *piece == image[..bytes]), "the whole disk was written");
        std::fs::write(disk.path(), &image).expect("the image is restored");
    }
}

/// A track without DMA, byte by byte.
fn programmed_io(criterion: &mut Criterion) {
    const TRACK: usize = 18 * SECTOR;
    let disk = disk();
    let mut guest = guest(&disk);
    guest.use_dma(false);
    let track = Sectors { cylinder: 0, head: 1, record: 1, bytes: TRACK, end_of_track: 18 };
    let mut data = vec![0; TRACK];
    let mut group = criterion.benchmark_group("track byte by byte");
    group.throughput(Throughput::Bytes(TRACK as u64));
    for (name, configure) in [("FIFO off", 0x60), ("FIFO on", 0x40)] {
        guest.command(&[0x13, 0x00, configure, 0x00]);
        group.bench_function(BenchmarkId::new("READ DATA", name), |bencher| {
            bencher.iter(|| black_box(guest.read_pio(track, &mut data).unwrap()));
        });
        group.bench_function(BenchmarkId::new("WRITE DATA", name), |bencher| {
            bencher.iter(|| black_box(guest.write_pio(track, &data).unwrap()));
        });
    }
    group.finish();
    assert_eq!(data, std::fs::read(disk.path()).expect("the image")[TRACK..2 * TRACK]);
}

/// Accesses that move no data.
fn registers(criterion: &mut Criterion) {
    let mut guest = guest(&disk());
    let mut group = criterion.benchmark_group("registers");
    group.bench_function("MSR read", |bencher| bencher.iter(|| black_box(guest.bus.read(black_box(MSR)))));
    let mut cylinder = 0;
    group.bench_function("SEEK and SENSE INTERRUPT STATUS", |bencher| {
        bencher.iter(|| {
            cylinder ^= 1;
            black_box(guest.seek(cylinder))
        });
    });
    group.finish();
}

criterion_group!(benches, whole_disk, programmed_io, registers);
criterion_main!(benches);
