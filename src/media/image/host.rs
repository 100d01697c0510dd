//! Calls to the host that the standard library does not offer on every host: a version for Unix, and a plain one for
//! all others. `--cfg vm_fdc_plain_host` builds the plain one on any host.

pub(super) use system::{
    check_readable, check_writable, identity, is_block_device, is_no_medium, is_unlinked, is_without_locks,
    may_have_holes, open_flags, read_at, write_at,
};

#[cfg(all(unix, not(vm_fdc_plain_host)))]
mod system {
    use std::{
        fs::{File, FileType, Metadata, OpenOptions},
        io,
        os::unix::fs::{FileExt, FileTypeExt, MetadataExt},
    };

    /// Sets the flags with which to open a file does not wait for the other end of a pipe, and to open a device fails
    /// while it is mounted.
    pub(in super::super) fn open_flags(options: &mut OpenOptions, device: bool) {
        // Other architectures have other numbers for these flags.
        #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
        {
            const O_EXCL: i32 = 0o200;
            const O_NONBLOCK: i32 = 0o4000;
            let flags = if device { O_NONBLOCK | O_EXCL } else { O_NONBLOCK };
            std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags);
        }
        let _ = (options, device);
    }

    /// Returns whether this can be a floppy drive of the host.
    pub(in super::super) fn is_block_device(file_type: &FileType) -> bool {
        file_type.is_block_device()
    }

    /// Returns whether the error means that the drive has no disk in it.
    pub(in super::super) fn is_no_medium(error: &io::Error) -> bool {
        const ENOMEDIUM: i32 = 123;
        cfg!(target_os = "linux") && error.raw_os_error() == Some(ENOMEDIUM)
    }

    /// Checks that a file is open for reads.
    pub(in super::super) fn check_readable(file: &File) -> io::Result<()> {
        file.read_at(&mut [], 0).map(drop)
    }

    /// Checks that a file is open for writes.
    pub(in super::super) fn check_writable(file: &File) -> io::Result<()> {
        file.write_at(&[], 0).map(drop)
    }

    /// Returns whether the error of a lock means that the file system has none.
    pub(in super::super) fn is_without_locks(error: &io::Error) -> bool {
        const EBADF: i32 = 9;
        const EINVAL: i32 = 22;
        // These have other numbers on other hosts.
        const ENOLCK: i32 = 37;
        const ENOSYS: i32 = 38;
        const EOPNOTSUPP: i32 = 95;
        let code = error.raw_os_error();
        error.kind() == io::ErrorKind::Unsupported
            || matches!(code, Some(EBADF | EINVAL))
            || cfg!(target_os = "linux") && matches!(code, Some(ENOLCK | ENOSYS | EOPNOTSUPP))
    }

    /// Returns which file this is, for as long as it exists.
    pub(in super::super) fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
        Some((metadata.dev(), metadata.ino()))
    }

    /// Returns whether the file has no name any more: its contents are lost when it is closed.
    pub(in super::super) fn is_unlinked(metadata: &Metadata) -> bool {
        metadata.nlink() == 0
    }

    /// Returns whether the host may not have allocated room for all bytes.
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

    pub(in super::super) fn open_flags(_options: &mut OpenOptions, _device: bool) {}

    pub(in super::super) fn is_block_device(_file_type: &FileType) -> bool {
        false
    }

    pub(in super::super) fn is_no_medium(_error: &io::Error) -> bool {
        false
    }

    pub(in super::super) fn check_readable(_file: &File) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) fn check_writable(_file: &File) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) fn is_without_locks(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::Unsupported
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
