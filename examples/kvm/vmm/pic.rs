//! The two 8259A interrupt controllers of a PC, as a BIOS initializes them: edge-triggered lines and fixed priorities.
//! No rotation, no polling, no special masks.

const CASCADE: u8 = 2;

/// One 8259A. A set of lines is a bit mask.
#[derive(Default)]
struct Pic {
    lines: u8,
    requests: u8,
    in_service: u8,
    mask: u8,
    /// Vector of line 0.
    vector: u8,
    /// Number of the initialization word that is expected next, 2 to 4.
    awaits: Option<u8>,
    has_word_4: bool,
    automatic_end: bool,
    reads_in_service: bool,
}

impl Pic {
    fn set_line(&mut self, line: u8, high: bool) {
        let bit = 1 << line;
        if high {
            self.requests |= bit & !self.lines;
            self.lines |= bit;
        } else {
            self.lines &= !bit;
        }
    }

    /// Returns the line that requests an interrupt. The lowest number has the highest priority.
    fn pending(&self) -> Option<u8> {
        let line = (self.requests & !self.mask).trailing_zeros();
        (line < self.in_service.trailing_zeros()).then_some(line as u8)
    }

    fn acknowledge(&mut self, line: u8) -> u8 {
        self.requests &= !(1 << line);
        if !self.automatic_end {
            self.in_service |= 1 << line;
        }
        self.vector | line
    }

    fn write_command(&mut self, value: u8) {
        if value & 0x10 != 0 {
            *self = Self { lines: self.lines, awaits: Some(2), has_word_4: value & 1 != 0, ..Self::default() };
        } else if value & 0x08 != 0 {
            if value & 2 != 0 {
                self.reads_in_service = value & 1 != 0;
            }
        } else if value & 0x20 != 0 {
            // End of interrupt: of the given line, or of the line with the highest priority.
            let ended =
                if value & 0x40 != 0 { 1 << (value & 7) } else { self.in_service & self.in_service.wrapping_neg() };
            self.in_service &= !ended;
        }
    }

    fn write_data(&mut self, value: u8) {
        match self.awaits {
            Some(2) => {
                self.vector = value & 0xF8;
                self.awaits = Some(3);
            }
            Some(3) => self.awaits = self.has_word_4.then_some(4),
            Some(_) => {
                self.automatic_end = value & 2 != 0;
                self.awaits = None;
            }
            None => self.mask = value,
        }
    }

    fn read(&self, register: u16) -> u8 {
        match register {
            0 if self.reads_in_service => self.in_service,
            0 => self.requests,
            _ => self.mask,
        }
    }
}

/// Both controllers, with lines 0 to 15.
#[derive(Default)]
pub struct Pics {
    master: Pic,
    slave: Pic,
}

impl Pics {
    /// Sets the level of a line, which a device drives.
    pub fn set_line(&mut self, line: u8, high: bool) {
        match line {
            0..8 => self.master.set_line(line, high),
            _ => self.slave.set_line(line & 7, high),
        }
        self.cascade();
    }

    /// Returns the level of INTR, the line to the processor.
    pub fn interrupts(&self) -> bool {
        self.master.pending().is_some()
    }

    /// Acknowledges the interrupt and returns its vector for the processor.
    pub fn acknowledge(&mut self) -> Option<u8> {
        let line = self.master.pending()?;
        let mut vector = self.master.acknowledge(line);
        if line == CASCADE
            && let Some(line) = self.slave.pending()
        {
            vector = self.slave.acknowledge(line);
        }
        self.cascade();
        Some(vector)
    }

    pub fn read(&self, port: u16) -> Option<u8> {
        match port {
            0x20 | 0x21 => Some(self.master.read(port & 1)),
            0xA0 | 0xA1 => Some(self.slave.read(port & 1)),
            _ => None,
        }
    }

    pub fn write(&mut self, port: u16, value: u8) -> bool {
        match port {
            0x20 => self.master.write_command(value),
            0x21 => self.master.write_data(value),
            0xA0 => self.slave.write_command(value),
            0xA1 => self.slave.write_data(value),
            _ => return false,
        }
        self.cascade();
        true
    }

    /// Drives the input of the first controller that the second controller is connected to.
    fn cascade(&mut self) {
        let bit = 1 << CASCADE;
        self.master.requests = self.master.requests & !bit | if self.slave.pending().is_some() { bit } else { 0 };
    }
}
