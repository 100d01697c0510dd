//! What the library asks of the host that the standard library does not offer on all of them: on Unix, and plainly on
//! any other. `--cfg vm_fdc_plain_host` builds the plain one anywhere.

pub(super) use system::{
    careful, identity, is_block_device, is_no_medium, is_unlinked, may_have_holes, read_at, write_at,
};

#[cfg(all(unix, not(vm_fdc_plain_host)))]
mod system {
    use std::{
        fs::{File, FileType, Metadata, OpenOptions},
        io,
        os::unix::fs::{FileExt, FileTypeExt, MetadataExt},
    };

    /// Keeps an open from waiting for the other end of a pipe, and one of a device from succeeding while it is mounted.
    pub(in super::super) fn careful(options: &mut OpenOptions, device: bool) {
        // Some architectures number these flags in their own way.
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
        {
            const O_EXCL: i32 = 0o200;
            const O_NONBLOCK: i32 = 0o4000;
            let flags = if device { O_NONBLOCK | O_EXCL } else { O_NONBLOCK };
            std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags);
        }
        let _ = (options, device);
    }

    /// A floppy drive of the host, as far as one can tell.
    pub(in super::super) fn is_block_device(file_type: &FileType) -> bool {
        file_type.is_block_device()
    }

    /// The drive has no disk in it.
    pub(in super::super) fn is_no_medium(error: &io::Error) -> bool {
        const ENOMEDIUM: i32 = 123;
        cfg!(target_os = "linux") && error.raw_os_error() == Some(ENOMEDIUM)
    }

    /// Which file it is, for as long as there is a file of that name.
    pub(in super::super) fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
        Some((metadata.dev(), metadata.ino()))
    }

    /// The file has no name any more: what is in it is lost when it is closed.
    pub(in super::super) fn is_unlinked(metadata: &Metadata) -> bool {
        metadata.nlink() == 0
    }

    /// The host may still have to find room for some of its bytes.
    pub(in super::super) fn may_have_holes(metadata: &Metadata) -> bool {
        metadata.blocks() * 512 < metadata.len()
    }

    pub(in super::super) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        file.read_exact_at(bytes, offset)
    }

    pub(in super::super) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }
}

#[cfg(not(all(unix, not(vm_fdc_plain_host))))]
mod system {
    use std::{
        fs::{File, FileType, Metadata, OpenOptions},
        io::{self, Read, Seek, SeekFrom, Write},
    };

    pub(in super::super) fn careful(_options: &mut OpenOptions, _device: bool) {}

    pub(in super::super) fn is_block_device(_file_type: &FileType) -> bool {
        false
    }

    pub(in super::super) fn is_no_medium(_error: &io::Error) -> bool {
        false
    }

    pub(in super::super) fn identity(_metadata: &Metadata) -> Option<(u64, u64)> {
        None
    }

    pub(in super::super) fn is_unlinked(_metadata: &Metadata) -> bool {
        false
    }

    pub(in super::super) fn may_have_holes(_metadata: &Metadata) -> bool {
        true
    }

    pub(in super::super) fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(bytes)
    }

    pub(in super::super) fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }
}
