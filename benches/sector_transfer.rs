//! The cost of a transfer, compared with a copy of the same bytes in the same pieces from a mapping of the same file.
//!
//! A READ DATA or WRITE DATA has 32 port accesses: the driver polls the MSR before each of nine command bytes and seven
//! result bytes. CONFIGURE enables implied seeks, so there are no other accesses. "own DMA" is a DMA channel of the VM
//! monitor that only copies. "8237A" is the channel of this library, which the driver programs for each command with nine
//! more accesses. The disk is copied to an area of its size in guest memory. With "one buffer", all pieces are copied to
//! the same area, which then stays in the nearest cache. The image is mapped, as in the copy. With "in memory", it is not,
//! and each command that writes is a write to the file.

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::{fs, hint::black_box, io::Write};

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use kit::{DMA_READ_FLOPPY, DMA_WRITE_FLOPPY, Dma, Guest, MSR, Sectors};
use memmap2::{Mmap, MmapMut};
use tempfile::NamedTempFile;
use vm_fdc::{
    dma::{AtDma, DmaChannel, Moved},
    drive::DriveType,
    media::{Access, ImageOptions},
};

const SECTOR: usize = 512;
const TRACK: usize = 18 * SECTOR;
const CYLINDER: usize = 2 * TRACK;
const DISK: usize = 80 * CYLINDER;

/// The address of the disk in guest memory, and the size of guest memory.
const DISK_ADDRESS: usize = 0x10_0000;
const MEMORY: usize = 0x30_0000;

/// Returns a 1.44M image in which all sectors differ.
fn disk() -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    let words = (0u32..).flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes());
    file.write_all(&words.take(DISK).collect::<Vec<_>>()).expect("an image");
    file
}

/// How an image accesses its file.
#[derive(Clone, Copy, PartialEq)]
enum Backing {
    Memory,
    Mapped,
}

/// Returns a guest with the disk in its drive, and implied seeks enabled.
fn guest<D: Dma>(disk: &NamedTempFile, dma: D, backing: Backing) -> Guest<D> {
    let (mut guest, drive) = Guest::with_drive_and_dma(DriveType::Inch3_5Hd, dma);
    // The commands of this bench end without a delay.
    guest.bus.follows = false;
    let options = ImageOptions::new(Access::ReadWrite);
    // SAFETY: nothing else writes to the temporary file or truncates it.
    #[allow(unsafe_code)]
    let options = if backing == Backing::Mapped { unsafe { options.with_mapping() } } else { options };
    drive.attach_image(disk.path(), options).expect("the image attaches");
    guest.bus.write(kit::CCR, 0);
    guest.command(&[0x13, 0x00, 0x60, 0x00]);
    guest
}

/// A DMA controller whose address the VM monitor sets directly.
struct OwnDma<'a> {
    memory: &'a mut [u8],
    address: usize,
    count: usize,
}

impl<'a> OwnDma<'a> {
    fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, address: 0, count: 0 }
    }

    fn moved(&mut self, bytes: usize) -> Moved {
        self.address += bytes;
        self.count -= bytes;
        Moved { bytes, terminal_count: self.count == 0 }
    }
}

impl DmaChannel for OwnDma<'_> {
    fn device_to_memory(&mut self, data: &[u8]) -> Moved {
        let bytes = data.len().min(self.count);
        self.memory[self.address..][..bytes].copy_from_slice(&data[..bytes]);
        self.moved(bytes)
    }

    fn memory_to_device(&mut self, data: &mut [u8]) -> Moved {
        let bytes = data.len().min(self.count);
        data[..bytes].copy_from_slice(&self.memory[self.address..][..bytes]);
        self.moved(bytes)
    }
}

impl Dma for OwnDma<'_> {
    fn read_port(&mut self, _port: u16) -> Option<u8> {
        None
    }

    fn write_port(&mut self, _port: u16, _value: u8) -> bool {
        false
    }

    fn memory(&self) -> &[u8] {
        self.memory
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        self.memory
    }
}

/// A command that moves a piece of the disk, and the address of the piece in memory.
#[derive(Clone, Copy)]
struct Piece {
    sectors: Sectors,
    address: usize,
}

/// Returns the commands that move a disk in pieces of `bytes`. No piece crosses a boundary of 64 KiB in memory.
fn pieces(bytes: usize, one_buffer: bool) -> Vec<Piece> {
    let cylinders_a_page = 0x1_0000 / CYLINDER;
    let piece = |at: usize| {
        let (cylinder, within, sector) = (at / CYLINDER, at % CYLINDER, at / SECTOR);
        let (head, sector) = ((sector / 18 % 2) as u8, (sector % 18) as u8 + 1);
        let sectors = Sectors { cylinder: cylinder as u8, head, sector, bytes, end_of_track: 18 };
        let place = cylinder / cylinders_a_page * 0x1_0000 + cylinder % cylinders_a_page * CYLINDER + within;
        Piece { sectors, address: if one_buffer { DISK_ADDRESS } else { DISK_ADDRESS + place } }
    };
    (0..DISK).step_by(bytes).map(piece).collect()
}

/// Prepares DMA for a command: programs the 8237A through ports, or sets the address directly.
fn through_8237a<D: Dma>(guest: &mut Guest<D>, mode: u8, piece: Piece) {
    guest.program_dma(mode, piece.address as u32, piece.sectors.bytes);
}

fn own_dma(guest: &mut Guest<OwnDma<'_>>, _mode: u8, piece: Piece) {
    let dma = guest.bus.fdc.dma_mut();
    (dma.address, dma.count) = (piece.address, piece.sectors.bytes);
}

/// Reads the disk and compares it, then measures the read.
fn read_disk<D: Dma>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    disk: &NamedTempFile,
    backing: Backing,
    dma: D,
    pieces: &[Piece],
    program: fn(&mut Guest<D>, u8, Piece),
) {
    let mut guest = guest(disk, dma, backing);
    let image = fs::read(disk.path()).expect("the image");
    for (&piece, expected) in pieces.iter().zip(image.chunks(pieces[0].sectors.bytes)) {
        program(&mut guest, DMA_READ_FLOPPY, piece);
        guest.read(piece.sectors).expect("the disk reads");
        assert_eq!(guest.bus.memory()[piece.address..][..expected.len()], *expected);
    }
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for &piece in pieces {
                program(&mut guest, DMA_READ_FLOPPY, piece);
                black_box(guest.read(piece.sectors).expect("the disk reads"));
            }
        });
    });
}

/// Measures the write of a disk, then compares its contents.
fn write_disk<D: Dma>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    disk: &NamedTempFile,
    backing: Backing,
    dma: D,
    pieces: &[Piece],
    program: fn(&mut Guest<D>, u8, Piece),
) {
    let mut guest = guest(disk, dma, backing);
    for (n, byte) in guest.bus.memory_mut().iter_mut().enumerate() {
        *byte = (n % 251) as u8;
    }
    let mut write_all = || {
        for &piece in pieces {
            program(&mut guest, DMA_WRITE_FLOPPY, piece);
            black_box(guest.write(piece.sectors).expect("the disk writes"));
        }
    };
    write_all();
    group.bench_function(name, |bencher| bencher.iter(&mut write_all));
    let written = fs::read(disk.path()).expect("the image");
    for (piece, bytes) in pieces.iter().zip(written.chunks(pieces[0].sectors.bytes)) {
        assert_eq!(guest.bus.memory()[piece.address..][..bytes.len()], *bytes);
    }
}

/// Reads and writes a whole disk in pieces of a cylinder and of a sector.
fn whole_disk(criterion: &mut Criterion) {
    for (name, bytes, one_buffer) in [
        ("by cylinder", CYLINDER, false),
        ("by sector", SECTOR, false),
        ("by cylinder, one buffer", CYLINDER, true),
        ("by sector, one buffer", SECTOR, true),
    ] {
        let (disk, pieces) = (disk(), pieces(bytes, one_buffer));
        // All benches share one memory, because its address and its pages affect the time.
        let mut memory = vec![0; MEMORY];

        let mut group = criterion.benchmark_group(format!("read disk {name}"));
        group.throughput(Throughput::Bytes(DISK as u64));
        group.bench_function("memcpy", |bencher| {
            let file = disk.reopen().expect("the image opens");
            // SAFETY: nothing truncates the temporary file while it is mapped.
            #[allow(unsafe_code)]
            let map = unsafe { Mmap::map(&file) }.expect("the image maps");
            bencher.iter(|| {
                for (piece, from) in pieces.iter().zip(map.chunks_exact(bytes)) {
                    black_box(&mut memory[piece.address..][..bytes]).copy_from_slice(from);
                }
            });
        });
        for (place, backing) in [("mapped", Backing::Mapped), ("in memory", Backing::Memory)] {
            let name = format!("READ DATA, {place}, own DMA");
            read_disk(&mut group, &name, &disk, backing, OwnDma::new(&mut memory), &pieces, own_dma);
        }
        let (backing, dma) = (Backing::Mapped, AtDma::new(&mut memory[..]));
        read_disk(&mut group, "READ DATA, mapped, 8237A", &disk, backing, dma, &pieces, through_8237a);
        group.finish();

        let mut group = criterion.benchmark_group(format!("write disk {name}"));
        group.throughput(Throughput::Bytes(DISK as u64));
        group.bench_function("memcpy", |bencher| {
            let file = disk.reopen().expect("the image opens");
            // SAFETY: nothing truncates the temporary file while it is mapped.
            #[allow(unsafe_code)]
            let mut map = unsafe { MmapMut::map_mut(&file) }.expect("the image maps");
            bencher.iter(|| {
                for (piece, to) in pieces.iter().zip(map.chunks_exact_mut(bytes)) {
                    to.copy_from_slice(black_box(&memory[piece.address..][..bytes]));
                }
            });
        });
        for (place, backing) in [("mapped", Backing::Mapped), ("in memory", Backing::Memory)] {
            let name = format!("WRITE DATA, {place}, own DMA");
            write_disk(&mut group, &name, &disk, backing, OwnDma::new(&mut memory), &pieces, own_dma);
        }
        let (backing, dma) = (Backing::Mapped, AtDma::new(&mut memory[..]));
        write_disk(&mut group, "WRITE DATA, mapped, 8237A", &disk, backing, dma, &pieces, through_8237a);
        group.finish();
    }
}

/// Reads and writes a track without DMA, byte by byte. The driver polls the MSR before each byte.
fn programmed_io(criterion: &mut Criterion) {
    let disk = disk();
    let expected = fs::read(disk.path()).expect("the image")[TRACK..2 * TRACK].to_vec();
    let mut memory = vec![0; MEMORY];
    let mut guest = guest(&disk, OwnDma::new(&mut memory), Backing::Mapped);
    guest.use_dma(false);
    let track = Sectors { cylinder: 0, head: 1, sector: 1, bytes: TRACK, end_of_track: 18 };
    let mut data = vec![0; TRACK];
    let mut group = criterion.benchmark_group("track byte by byte");
    group.throughput(Throughput::Bytes(TRACK as u64));
    for (name, configure) in [("FIFO off", 0x60), ("FIFO on", 0x40)] {
        guest.command(&[0x13, 0x00, configure, 0x00]);
        guest.read_pio(track, &mut data).expect("the track reads");
        assert_eq!(data, expected);
        group.bench_function(format!("READ DATA, {name}"), |bencher| {
            bencher.iter(|| black_box(guest.read_pio(track, &mut data).expect("the track reads")));
        });
        group.bench_function(format!("WRITE DATA, {name}"), |bencher| {
            bencher.iter(|| black_box(guest.write_pio(track, &expected).expect("the track writes")));
        });
    }
    group.finish();
}

/// Reads and writes a whole disk without DMA, with one command for each cylinder, by string instructions of a track and of
/// a sector.
fn strings(criterion: &mut Criterion) {
    let (disk, cylinders) = (disk(), pieces(CYLINDER, false));
    let image = fs::read(disk.path()).expect("the image");
    let mut guest = guest(&disk, AtDma::new(vec![0; 16]), Backing::Mapped);
    guest.use_dma(false);
    guest.command(&[0x13, 0x00, 0x40, 0x00]);
    let mut data = vec![0; DISK];
    let mut group = criterion.benchmark_group("disk by strings");
    group.throughput(Throughput::Bytes(DISK as u64));
    group.bench_function("memcpy by sector", |bencher| {
        let file = disk.reopen().expect("the image opens");
        // SAFETY: nothing truncates the temporary file while it is mapped.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) }.expect("the image maps");
        bencher.iter(|| {
            for (to, from) in data.chunks_exact_mut(SECTOR).zip(map.chunks_exact(SECTOR)) {
                black_box(to).copy_from_slice(from);
            }
        });
    });
    for (name, string) in [("of a track", TRACK), ("of a sector", SECTOR)] {
        data.fill(0);
        let mut read_all = |data: &mut [u8]| {
            for (cylinder, data) in cylinders.iter().zip(data.chunks_exact_mut(CYLINDER)) {
                black_box(guest.read_strings(cylinder.sectors, data, string).expect("the cylinder reads"));
            }
        };
        read_all(&mut data);
        assert!(data == image);
        group.bench_function(format!("READ DATA, strings {name}"), |bencher| bencher.iter(|| read_all(&mut data)));
        group.bench_function(format!("WRITE DATA, strings {name}"), |bencher| {
            bencher.iter(|| {
                for (cylinder, data) in cylinders.iter().zip(data.chunks_exact(CYLINDER)) {
                    black_box(guest.write_strings(cylinder.sectors, data, string).expect("the cylinder writes"));
                }
            });
        });
    }
    group.finish();
}

/// Performs commands and accesses that move no data of the guest.
fn other(criterion: &mut Criterion) {
    let disk = disk();
    let mut guest = guest(&disk, AtDma::new(vec![0; MEMORY]), Backing::Mapped);
    let mut group = criterion.benchmark_group("other");
    group.bench_function("MSR read", |bencher| bencher.iter(|| black_box(guest.bus.read(black_box(MSR)))));
    let mut cylinder = 0;
    group.bench_function("SEEK and SENSE INTERRUPT STATUS", |bencher| {
        bencher.iter(|| {
            cylinder ^= 1;
            black_box(guest.seek(cylinder))
        });
    });
    group.bench_function("VERIFY of a cylinder", |bencher| {
        bencher.iter(|| {
            guest.send(&[0xF6, 0x00, 0, 0, 1, 2, 18, 0x1B, 0xFF]).expect("the command is taken");
            black_box(guest.fetch::<7>().expect("it has a result"))
        });
    });
    let ids: Vec<u8> = (1..=18).flat_map(|sector| [0, 0, sector, 2]).collect();
    guest.bus.memory_mut()[DISK_ADDRESS..][..ids.len()].copy_from_slice(&ids);
    guest.seek(0);
    let mut format_track = || {
        guest.program_dma(DMA_WRITE_FLOPPY, DISK_ADDRESS as u32, ids.len());
        guest.send(&[0x4D, 0x00, 2, 18, 0x6C, 0xF6]).expect("the command is taken");
        black_box(guest.fetch::<7>().expect("it has a result"))
    };
    format_track();
    assert_eq!(fs::read(disk.path()).expect("the image")[..TRACK], [0xF6; TRACK]);
    group.bench_function("FORMAT TRACK", |bencher| bencher.iter(&mut format_track));
    group.finish();
}

criterion_group!(benches, whole_disk, programmed_io, strings, other);
criterion_main!(benches);
