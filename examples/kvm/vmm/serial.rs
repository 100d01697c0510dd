//! COM1 as an output: the bytes of the guest are printed, and kept as text without the terminal escape sequences of
//! SeaBIOS.

use std::io::{self, IsTerminal, Write};

const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const INTERRUPT_IDENTIFICATION: u16 = 2;
const LINE_CONTROL: u16 = 3;
const LINE_STATUS: u16 = 5;
const MODEM_STATUS: u16 = 6;

const DIVISOR_LATCH: u8 = 0x80;
const TRANSMITTER_EMPTY: u8 = 0x02;

/// Position of the output within an escape sequence (`ESC [ ... letter`).
#[derive(Default, PartialEq)]
enum Escape {
    #[default]
    None,
    Begun,
    Parameters,
}

#[derive(Default)]
pub struct Serial {
    registers: [u8; 8],
    escape: Escape,
    text: String,
}

impl Serial {
    /// Returns the output as text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks that the output has this text, and that its end came after the first `before` bytes of the output.
    pub fn printed(&self, text: &str, before: usize) -> bool {
        if self.text.len() == before {
            return false;
        }
        // The output is ASCII, so each byte is a boundary of characters.
        let from = (before + 1).saturating_sub(text.len());
        self.text[from..].contains(text)
    }

    /// Reads a register, 0 to 7.
    pub fn read(&self, register: u16) -> u8 {
        match register {
            INTERRUPT_IDENTIFICATION if self.registers[usize::from(INTERRUPT_ENABLE)] & TRANSMITTER_EMPTY != 0 => 0x02,
            INTERRUPT_IDENTIFICATION => 0x01, // no interrupt
            LINE_STATUS => 0x60,              // transmitter empty, no byte received
            MODEM_STATUS => 0xB0,
            DATA => 0,
            _ => self.registers[usize::from(register & 7)],
        }
    }

    /// Writes a register, 0 to 7. A transmitted byte is printed at once.
    pub fn write(&mut self, register: u16, value: u8) -> io::Result<()> {
        let divisor = self.registers[usize::from(LINE_CONTROL)] & DIVISOR_LATCH != 0;
        match register {
            DATA | INTERRUPT_ENABLE if divisor => {}
            DATA => self.transmit(value)?,
            _ => self.registers[usize::from(register & 7)] = value,
        }
        Ok(())
    }

    fn transmit(&mut self, byte: u8) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.keep(byte) {
            // A terminal gets the escape sequences, too.
            _ if out.is_terminal() => out.write_all(&[byte])?,
            Some(character) => write!(out, "{character}")?,
            None => {}
        }
        out.flush()
    }

    /// Adds a byte to the text, unless it is part of an escape sequence. Returns the character that was added.
    fn keep(&mut self, byte: u8) -> Option<char> {
        let escape = std::mem::take(&mut self.escape);
        match (escape, byte) {
            (_, 0x1B) => self.escape = Escape::Begun,
            (Escape::Begun, b'[') => self.escape = Escape::Parameters,
            (Escape::Parameters, 0x20..=0x3F) => self.escape = Escape::Parameters,
            (Escape::None, b'\n' | 0x20..=0x7E) => {
                self.text.push(byte.into());
                return Some(byte.into());
            }
            _ => {}
        }
        None
    }
}
