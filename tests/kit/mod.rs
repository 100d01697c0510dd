//! The floppy driver of a guest, for tests, benches and examples. It uses I/O ports only, as a BIOS does. Only the [`Bus`]
//! knows the library behind the ports.
#![allow(dead_code)] // Each user needs only a part.

pub mod disk;
pub mod floppy;
pub mod status;
pub mod stub;

use std::{error::Error, fmt, ops::Deref, time::Duration};

use vm_fdc::{
    Controller, ControllerBuilder, FloppyDrive, Interrupt, ReadRegister, Timing, WriteRegister,
    dma::{AtDma, DmaChannel, GuestMemory},
    drive::DriveType,
};

/// True in the kit of the suite's module `in_time`: commands take the time of a real drive, which passes while the guest
/// waits.
pub const IN_TIME: bool = ends_with(module_path!(), "::in_time::kit");

pub const DOR: u16 = 0x3F2;
pub const TDR: u16 = 0x3F3;
pub const MSR: u16 = 0x3F4;
pub const DSR: u16 = 0x3F4;
pub const FIFO: u16 = 0x3F5;
pub const DIR: u16 = 0x3F7;
pub const CCR: u16 = 0x3F7;

/// DOR: drive 0 is selected and its motor is on; not in reset; the DMA gate is open.
pub const DOR_RUN: u8 = 0x1C;
/// DOR: the same with the DMA gate shut.
pub const DOR_GATE_SHUT: u8 = 0x14;
/// DOR: the same as [`DOR_RUN`], but held in reset.
pub const DOR_HELD: u8 = 0x18;

/// MSR, RQM without DIO: the controller accepts a byte of a command.
pub const WANTS_BYTE: u8 = 0x80;
/// MSR, RQM and DIO: the controller has a byte for the host.
pub const HAS_BYTE: u8 = 0xC0;
/// MSR: a command is in progress.
pub const BUSY: u8 = 0x10;
/// MSR in the execution phase of a command without DMA: a byte of data is due to the host, or from it.
pub const TO_HOST: u8 = 0xF0;
pub const FROM_HOST: u8 = 0xB0;

/// The address of the DMA buffer of the kit, which begins a 64 KiB page.
pub const BUFFER: u32 = 0x1_0000;
const MEMORY: usize = 0x4_0000;

/// Mode of DMA channel 2: single transfers from the device to memory, from memory to the device, or verify transfers.
pub const DMA_READ_FLOPPY: u8 = 0x46;
pub const DMA_WRITE_FLOPPY: u8 = 0x4A;
pub const DMA_VERIFY: u8 = 0x42;

/// Port of the status register of the first DMA controller.
pub const DMA_STATUS: u16 = 0x08;
/// Bits of the status register: the floppy controller requests DMA, and its channel reached terminal count.
pub const CHANNEL_2_REQUEST: u8 = 0x40;
pub const CHANNEL_2_TERMINAL_COUNT: u8 = 0x04;

/// IRQ 6 as an interrupt controller sees it.
#[derive(Debug, Default)]
pub struct Irq {
    high: bool,
    edges: usize,
}

impl Irq {
    pub fn is_high(&self) -> bool {
        self.high
    }

    /// Returns how often the line rose.
    pub fn edges(&self) -> usize {
        self.edges
    }
}

impl Interrupt for Irq {
    fn set_level(&mut self, high: bool) {
        assert!(self.high != high, "`set_level` is called for changes only");
        self.high = high;
        self.edges += usize::from(high);
    }
}

/// The device behind the DMA channel of the floppy controller: a DMA controller with ports, and memory.
pub trait Dma: DmaChannel {
    fn read_port(&mut self, port: u16) -> Option<u8>;
    fn write_port(&mut self, port: u16, value: u8) -> bool;
    fn memory(&self) -> &[u8];
    fn memory_mut(&mut self) -> &mut [u8];
}

impl<M: GuestMemory + AsRef<[u8]> + AsMut<[u8]>> Dma for AtDma<M> {
    fn read_port(&mut self, port: u16) -> Option<u8> {
        Self::read_port(self, port)
    }

    fn write_port(&mut self, port: u16, value: u8) -> bool {
        Self::write_port(self, port, value)
    }

    fn memory(&self) -> &[u8] {
        Self::memory(self).as_ref()
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        Self::memory_mut(self).as_mut()
    }
}

/// The I/O ports of a PC: the floppy controller, and the DMA controllers with memory behind them.
pub struct Bus<D = AtDma<Vec<u8>>> {
    pub fdc: Controller<Irq, D>,
    /// The ends that are delayed without timing come, as with a VM monitor that follows `next_event`.
    pub follows: bool,
}

impl<D: Dma> Bus<D> {
    pub fn new(builder: ControllerBuilder, dma: D) -> Self {
        let builder = if IN_TIME { builder.timing(Timing::Authentic) } else { builder };
        Self {
            fdc: builder.interrupt(Irq::default()).dma(dma).build().expect("the drives can be wired"),
            follows: !IN_TIME,
        }
    }

    #[inline]
    pub fn read(&mut self, port: u16) -> u8 {
        if IN_TIME && port == MSR {
            self.wait();
        }
        match ReadRegister::at(port.wrapping_sub(Controller::PRIMARY)) {
            Some(register) => {
                let value = self.fdc.read(register);
                if register == ReadRegister::Fifo {
                    self.follow();
                }
                value
            }
            None => self.fdc.dma_mut().read_port(port).unwrap_or(0xFF),
        }
    }

    #[inline]
    pub fn write(&mut self, port: u16, value: u8) {
        if let Some(register) = WriteRegister::at(port.wrapping_sub(Controller::PRIMARY)) {
            self.fdc.write(register, value);
            if register == WriteRegister::Fifo {
                self.follow();
            }
        } else if self.fdc.dma_mut().write_port(port, value) {
            self.fdc.service_dma();
        }
        if IN_TIME {
            self.wait();
        }
    }

    /// Lets the ends that are delayed come, as a VM monitor does that follows `next_event`. Waits for a host are longer.
    #[inline]
    pub fn follow(&mut self) {
        if self.follows {
            self.end_delays();
        }
    }

    #[inline(never)]
    fn end_delays(&mut self) {
        while let Some(event) = self.fdc.next_event().filter(|&event| event <= Duration::from_millis(1)) {
            self.fdc.advance(event);
        }
    }

    /// Advances the time until the controller has or accepts a byte, or until a seek interrupts.
    fn wait(&mut self) {
        loop {
            let status = self.fdc.read(ReadRegister::MainStatus);
            let (byte, seek) = (status & 0x80 != 0 && status & 0xF0 != 0x80, status & 0x0F != 0);
            if byte || seek && self.fdc.interrupt_level() {
                return;
            }
            let Some(event) = self.fdc.next_event() else { return };
            self.fdc.advance(event);
        }
    }

    pub fn irq(&self) -> &Irq {
        self.fdc.interrupt()
    }

    pub fn memory(&self) -> &[u8] {
        self.fdc.dma().memory()
    }

    pub fn memory_mut(&mut self) -> &mut [u8] {
        self.fdc.dma_mut().memory_mut()
    }
}

/// The result bytes of a command.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Reply {
    bytes: [u8; 16],
    length: usize,
}

impl Reply {
    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    /// Returns C, H, R and N of the result of a data command.
    pub fn id(&self) -> [u8; 4] {
        [self[3], self[4], self[5], self[6]]
    }

    /// Returns ST0, ST1 and ST2 of the result of a data command.
    pub fn status(&self) -> [u8; 3] {
        [self[0], self[1], self[2]]
    }
}

impl Deref for Reply {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", &**self)
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Reply {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

/// The controller did not do what the driver expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverError {
    /// The MSR has this value, with which the driver cannot continue.
    NotReady(u8),
    /// The controller did not interrupt.
    NoInterrupt,
    /// A command failed with this result.
    Failed(Reply),
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady(status) => write!(f, "the controller is not ready, MSR {status:#04x}"),
            Self::NoInterrupt => f.write_str("the controller did not interrupt"),
            Self::Failed(reply) => write!(f, "the command failed: {reply:?}"),
        }
    }
}

impl Error for DriverError {}

/// Sectors of one cylinder, as a driver requests them.
#[derive(Clone, Copy, Debug)]
pub struct Sectors {
    pub cylinder: u8,
    pub head: u8,
    /// Number of the first sector, from 1.
    pub sector: u8,
    /// Number of bytes to move, which the DMA controller counts.
    pub bytes: usize,
    /// EOT: number of the last sector of a track.
    pub end_of_track: u8,
}

impl Sectors {
    /// Returns the bytes of READ DATA or WRITE DATA with `opcode`, for sectors of 512 bytes.
    fn command(&self, opcode: u8, drive: u8) -> [u8; 9] {
        let Self { cylinder, head, sector, end_of_track, .. } = *self;
        [opcode, head << 2 | drive, cylinder, head, sector, 2, end_of_track, 0x1B, 0xFF]
    }
}

/// The driver: a bus, and the number of the selected drive.
pub struct Guest<D = AtDma<Vec<u8>>> {
    pub bus: Bus<D>,
    drive: u8,
}

impl Guest {
    /// Returns a guest in a machine with one drive. The controller is out of reset, and the drive is selected.
    pub fn with_drive(drive_type: DriveType) -> (Self, FloppyDrive) {
        Self::with_drive_and_dma(drive_type, AtDma::new(vec![0; MEMORY]))
    }

    /// Returns a guest in a machine at power-on.
    pub fn new(builder: ControllerBuilder) -> Self {
        Self { bus: Bus::new(builder, AtDma::new(vec![0; MEMORY])), drive: 0 }
    }
}

impl<D: Dma> Guest<D> {
    /// Returns the same as [`with_drive`](Guest::with_drive), with another DMA controller.
    pub fn with_drive_and_dma(drive_type: DriveType, dma: D) -> (Self, FloppyDrive) {
        let mut guest = Self { bus: Bus::new(Controller::builder().drive(0, drive_type), dma), drive: 0 };
        guest.reset();
        guest.select(0);
        let drive = guest.bus.fdc.drive(0).expect("there is a drive 0");
        (guest, drive)
    }

    /// Resets the controller by the DOR, and fetches the four statuses of polling.
    pub fn reset(&mut self) {
        self.bus.write(DOR, 0x00);
        self.bus.write(DOR, 0x0C);
        for _ in 0..4 {
            self.sense_interrupt();
        }
        self.command(&[0x03, 0xAF, 0x02]); // SPECIFY, with DMA
    }

    /// Selects a drive and turns its motor on.
    pub fn select(&mut self, drive: u8) {
        self.drive = drive;
        self.bus.write(DOR, 0x10 << drive | 0x0C | drive);
    }

    /// Sends the bytes of a command. Polls the MSR before each byte.
    #[inline(never)] // Unrolled for constant bytes it is slower, and like no real driver.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), DriverError> {
        for &byte in bytes {
            let status = self.bus.read(MSR);
            if status & HAS_BYTE != WANTS_BYTE {
                return Err(DriverError::NotReady(status));
            }
            self.bus.write(FIFO, byte);
        }
        Ok(())
    }

    /// Fetches `N` result bytes. Polls the MSR before each byte.
    #[inline(never)]
    pub fn fetch<const N: usize>(&mut self) -> Result<[u8; N], DriverError> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            let status = self.bus.read(MSR);
            if status & (HAS_BYTE | BUSY) != HAS_BYTE | BUSY {
                return Err(DriverError::NotReady(status));
            }
            *byte = self.bus.read(FIFO);
        }
        Ok(bytes)
    }

    /// Fetches result bytes until the controller has no more.
    pub fn reply(&mut self) -> Reply {
        self.bus.follow();
        let mut reply = Reply::default();
        while self.bus.read(MSR) & (HAS_BYTE | BUSY) == HAS_BYTE | BUSY {
            let byte = self.bus.read(FIFO);
            reply.push(byte);
        }
        reply
    }

    /// Sends the bytes of a command and fetches its result.
    pub fn command(&mut self, bytes: &[u8]) -> Reply {
        self.send(bytes).expect("the controller accepts the command");
        self.reply()
    }

    pub fn sense_interrupt(&mut self) -> Reply {
        self.command(&[0x08])
    }

    /// Performs RECALIBRATE of the selected drive. Returns ST0 and the cylinder.
    pub fn recalibrate(&mut self) -> Reply {
        self.command(&[0x07, self.drive]);
        self.sense_interrupt()
    }

    /// Performs SEEK of the selected drive. Returns ST0 and the cylinder.
    pub fn seek(&mut self, cylinder: u8) -> Reply {
        self.command(&[0x0F, self.drive, cylinder]);
        self.sense_interrupt()
    }

    /// Programs channel 2 of the DMA controller, as a BIOS does.
    pub fn program_dma(&mut self, mode: u8, address: u32, bytes: usize) {
        let count = bytes.wrapping_sub(1);
        self.mask_dma();
        let bus = &mut self.bus;
        bus.write(0x0C, 0x00); // low bytes first
        bus.write(0x0B, mode);
        bus.write(0x04, address as u8);
        bus.write(0x04, (address >> 8) as u8);
        bus.write(0x81, (address >> 16) as u8);
        bus.write(0x05, count as u8);
        bus.write(0x05, (count >> 8) as u8);
        self.unmask_dma();
    }

    /// Masks channel 2 of the DMA controller.
    pub fn mask_dma(&mut self) {
        self.bus.write(0x0A, 0x06);
    }

    /// Unmasks channel 2 of the DMA controller.
    pub fn unmask_dma(&mut self) {
        self.bus.write(0x0A, 0x02);
    }

    /// Ends a transfer with DMA: expects its interrupt, and fetches its result.
    fn finish(&mut self) -> Result<[u8; 7], DriverError> {
        if !self.bus.irq().is_high() {
            return Err(DriverError::NoInterrupt);
        }
        let result = self.fetch::<7>()?;
        if result[0] & 0xC0 == 0 { Ok(result) } else { Err(DriverError::Failed(to_reply(&result))) }
    }

    /// Reads sectors of the cylinder under the head by DMA to [`BUFFER`].
    pub fn read_dma(&mut self, sectors: Sectors) -> Result<[u8; 7], DriverError> {
        self.program_dma(DMA_READ_FLOPPY, BUFFER, sectors.bytes);
        self.read(sectors)
    }

    /// The same, to the address for which the DMA controller is programmed.
    pub fn read(&mut self, sectors: Sectors) -> Result<[u8; 7], DriverError> {
        self.send(&sectors.command(0xE6, self.drive))?;
        self.finish()
    }

    /// Writes sectors of the cylinder under the head by DMA from [`BUFFER`].
    pub fn write_dma(&mut self, sectors: Sectors) -> Result<[u8; 7], DriverError> {
        self.program_dma(DMA_WRITE_FLOPPY, BUFFER, sectors.bytes);
        self.write(sectors)
    }

    /// The same, from the address for which the DMA controller is programmed.
    pub fn write(&mut self, sectors: Sectors) -> Result<[u8; 7], DriverError> {
        self.send(&sectors.command(0xC5, self.drive))?;
        self.finish()
    }

    /// Performs SPECIFY: data moves by DMA, or byte by byte.
    pub fn use_dma(&mut self, dma: bool) {
        self.command(&[0x03, 0xAF, 0x02 | u8::from(!dma)]);
    }

    /// Reads sectors of the cylinder under the head byte by byte, up to the end of the track. Polls the MSR before each byte.
    #[inline]
    pub fn read_pio(&mut self, sectors: Sectors, data: &mut [u8]) -> Result<[u8; 7], DriverError> {
        self.send(&sectors.command(0xE6, self.drive))?;
        for byte in data {
            let status = self.bus.read(MSR);
            if status != TO_HOST {
                return Err(DriverError::NotReady(status));
            }
            *byte = self.bus.read(FIFO);
        }
        self.end_of_pio()
    }

    /// Writes sectors of the cylinder under the head byte by byte, up to the end of the track. Polls the MSR before each byte.
    #[inline]
    pub fn write_pio(&mut self, sectors: Sectors, data: &[u8]) -> Result<[u8; 7], DriverError> {
        self.send(&sectors.command(0xC5, self.drive))?;
        for &byte in data {
            let status = self.bus.read(MSR);
            if status != FROM_HOST {
                return Err(DriverError::NotReady(status));
            }
            self.bus.write(FIFO, byte);
        }
        self.end_of_pio()
    }

    /// Reads sectors of the cylinder under the head by string instructions of `string` bytes, up to the end of the track.
    /// Polls the MSR before each string.
    pub fn read_strings(&mut self, sectors: Sectors, data: &mut [u8], string: usize) -> Result<[u8; 7], DriverError> {
        self.send(&sectors.command(0xE6, self.drive))?;
        for piece in data.chunks_mut(string) {
            let status = self.bus.read(MSR);
            if status != TO_HOST || self.bus.fdc.read_string(piece) != piece.len() {
                return Err(DriverError::NotReady(status));
            }
            self.bus.follow();
        }
        self.end_of_pio()
    }

    /// Writes sectors of the cylinder under the head in the same way.
    pub fn write_strings(&mut self, sectors: Sectors, data: &[u8], string: usize) -> Result<[u8; 7], DriverError> {
        self.send(&sectors.command(0xC5, self.drive))?;
        for piece in data.chunks(string) {
            let status = self.bus.read(MSR);
            if status != FROM_HOST || self.bus.fdc.write_string(piece) != piece.len() {
                return Err(DriverError::NotReady(status));
            }
            self.bus.follow();
        }
        self.end_of_pio()
    }

    /// Fetches the result of a transfer without DMA. Only the end of the track can end it, which ST1 reports.
    fn end_of_pio(&mut self) -> Result<[u8; 7], DriverError> {
        let result = self.fetch::<7>()?;
        if result[0] & 0xC0 == 0x40 && result[1] == 0x80 && result[2] == 0 {
            Ok(result)
        } else {
            Err(DriverError::Failed(to_reply(&result)))
        }
    }

    pub fn buffer(&self, bytes: usize) -> &[u8] {
        &self.bus.memory()[BUFFER as usize..][..bytes]
    }

    pub fn buffer_mut(&mut self, bytes: usize) -> &mut [u8] {
        &mut self.bus.memory_mut()[BUFFER as usize..][..bytes]
    }
}

fn to_reply(bytes: &[u8]) -> Reply {
    let mut reply = Reply::default();
    bytes.iter().for_each(|&byte| reply.push(byte));
    reply
}

const fn ends_with(text: &str, end: &str) -> bool {
    let (mut text, mut end) = (text.as_bytes(), end.as_bytes());
    while let ([text_rest @ .., text_last], [end_rest @ .., end_last]) = (text, end) {
        if *text_last != *end_last {
            return false;
        }
        (text, end) = (text_rest, end_rest);
    }
    end.is_empty()
}

/// Returns the path of a file in `fixtures/`.
pub fn fixture(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
