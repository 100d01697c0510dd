//! Memory for the bytes of an image, without a panic where the host has none.

use std::io;

/// Returns an empty vector with room for `length` bytes, or an error if there is no memory for it.
pub(super) fn with_capacity(length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
    Ok(bytes)
}

/// Returns a copy of the bytes, or an error if there is no memory for it.
pub(super) fn copy_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut copy = with_capacity(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
