//! Copies of the bytes of an image, without a panic where the host has no memory for them.

use std::io;

/// Returns a copy of the bytes, or an error if there is no memory for it.
pub(super) fn copy_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
