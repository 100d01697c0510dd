//! A cursor over the bytes of a container. No length is trusted: what is not there is an error.

use super::{
    error::{ContainerError, Damage},
    kind::Container,
};

/// Returns the little-endian word at an offset that `bytes` must have.
pub(super) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Returns the little-endian doubleword at an offset that `bytes` must have.
pub(super) fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from(word(bytes, at)) | u32::from(word(bytes, at + 2)) << 16
}

/// The bytes of a container, and how far they are read.
pub(super) struct Reader<'a> {
    container: Container,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(container: Container, bytes: &'a [u8]) -> Self {
        Self { container, bytes, at: 0 }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Moves to an offset from the first byte, which can be behind the end: the next read fails then.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at.min(self.bytes.len());
    }

    /// Reads `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], ContainerError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or_else(|| self.damaged(Damage::Truncated))?;
        self.at += count;
        Ok(taken)
    }

    /// Reads all bytes before the next `end`, and passes it.
    pub(super) fn take_until(&mut self, end: u8) -> Result<&'a [u8], ContainerError> {
        let length = self.bytes[self.at..].iter().position(|&byte| byte == end);
        let taken = self.take(length.ok_or_else(|| self.damaged(Damage::Truncated))?)?;
        self.at += 1;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, ContainerError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn word(&mut self) -> Result<u16, ContainerError> {
        Ok(word(self.take(2)?, 0))
    }

    /// Returns the error for damage just before this place.
    pub(super) const fn damaged(&self, damage: Damage) -> ContainerError {
        ContainerError::Damaged { container: self.container, offset: self.at as u64, damage }
    }
}
