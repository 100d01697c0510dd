//! New image files: blank ones, with a file system if required, and copies of a disk.
//!
//! A file is written under another name and then renamed, so that the file of the requested name is always complete.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf, absolute},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::formats::Layout;

/// What happens if the file exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IfExists {
    /// The file stays as it is, and the call fails.
    #[default]
    Fail,
    /// The new file replaces it, with its permissions. Programs that have the old file open keep that. A symbolic link
    /// is itself replaced.
    Replace,
}

/// Why a file was not created. A file of the requested name exists only if it existed before, unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The path is empty, or does not end with a file name.
    #[error("{path:?} names no file")]
    NoName {
        /// The path as it was given.
        path: PathBuf,
    },
    /// The file exists, and was not to be replaced.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The absolute path.
        path: PathBuf,
    },
    /// The host reported an error.
    #[error("cannot create {}", .path.display())]
    Io {
        /// The absolute path.
        path: PathBuf,
        /// The host's error.
        source: io::Error,
    },
    /// There is no memory for the image.
    #[error("out of memory for the image")]
    OutOfMemory,
    /// No FAT volume can have this label.
    #[error("{label:?} is no FAT volume label: at most 11 letters, digits, spaces and some signs of ASCII")]
    Label {
        /// The label.
        label: String,
    },
    /// A disk of this layout cannot have a FAT file system.
    #[error("a disk of {layout} cannot have a FAT file system")]
    NoFat {
        /// The layout.
        layout: Layout,
        /// The error of the file system, or `None` if it was not tried.
        source: Option<io::Error>,
    },
}

/// A blank disk, to be created as a raw image.
///
/// ```
/// use vm_fdc::media::{BlankImage, Geometry, IfExists};
///
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("new.img");
/// BlankImage::new(Geometry::HD_1440K).create(&path, IfExists::Fail)?;
/// assert_eq!(std::fs::metadata(&path)?.len(), 1_474_560);
/// assert!(BlankImage::new(Geometry::DD_720K).create(&path, IfExists::Fail).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BlankImage {
    layout: Layout,
    filler: u8,
    #[cfg(feature = "fat")]
    fat: Option<[u8; 11]>,
}

impl BlankImage {
    /// Returns a disk of this layout. Each byte of its sectors is 0xF6, as after FORMAT TRACK of a PC's BIOS.
    #[must_use]
    pub fn new(layout: impl Into<Layout>) -> Self {
        Self {
            layout: layout.into(),
            filler: 0xF6,
            #[cfg(feature = "fat")]
            fat: None,
        }
    }

    /// Returns how the sectors are arranged.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Sets the byte that fills the sectors.
    #[must_use]
    pub const fn with_filler(mut self, filler: u8) -> Self {
        self.filler = filler;
        self
    }

    /// Returns the byte that fills the sectors.
    #[must_use]
    pub const fn filler(&self) -> u8 {
        self.filler
    }

    /// Adds an empty FAT12 file system, as DOS creates it. XDF disks cannot have one. Letters of the label become
    /// capitals.
    ///
    /// # Errors
    ///
    /// [`CreateError::Label`] for a volume label of more than 11 characters, or with other characters than letters,
    /// digits, spaces and some signs of ASCII.
    #[cfg(feature = "fat")]
    pub fn with_fat(mut self, label: &str) -> Result<Self, CreateError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" !#$%&'()-@^_`{}~".contains(&byte);
        if label.len() > 11 || !label.bytes().all(allowed) {
            return Err(CreateError::Label { label: label.to_owned() });
        }
        let mut padded = [b' '; 11];
        padded.iter_mut().zip(label.bytes()).for_each(|(place, byte)| *place = byte.to_ascii_uppercase());
        self.fat = Some(padded);
        Ok(self)
    }

    /// Returns the bytes of the image.
    ///
    /// # Errors
    ///
    /// [`CreateError::OutOfMemory`], or [`CreateError::NoFat`] if the layout cannot have the file system.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CreateError> {
        // At most `MAX_IMAGE_BYTES`.
        let (mut bytes, length) = (Vec::new(), self.layout.bytes() as usize);
        bytes.try_reserve_exact(length).map_err(|_| CreateError::OutOfMemory)?;
        bytes.resize(length, self.filler);
        #[cfg(feature = "fat")]
        if let Some(label) = self.fat {
            return fat::format(bytes, self.layout, label);
        }
        Ok(bytes)
    }

    /// Creates the file `path` with the bytes of the image.
    ///
    /// # Errors
    ///
    /// A [`CreateError`]. No file is left behind then.
    pub fn create(&self, path: impl AsRef<Path>, if_exists: IfExists) -> Result<(), CreateError> {
        write_file(path.as_ref(), &self.to_bytes()?, if_exists)
    }
}

/// Writes a file that is complete or does not exist at all, and that is on the host's disk when this returns.
pub(crate) fn write_file(path: &Path, bytes: &[u8], if_exists: IfExists) -> Result<(), CreateError> {
    let no_name = || CreateError::NoName { path: path.to_owned() };
    if path.as_os_str().is_empty() {
        return Err(no_name());
    }
    let path = absolute(path).map_err(|source| CreateError::Io { path: path.to_owned(), source })?;
    let (Some(_), Some(directory)) = (path.file_name(), path.parent()) else { return Err(no_name()) };
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::AlreadyExists => CreateError::Exists { path: path.clone() },
        _ => CreateError::Io { path: path.clone(), source },
    };
    // Checked first to save the work, and again when the file gets its name.
    match path.symlink_metadata() {
        Ok(_) if if_exists == IfExists::Fail => return Err(failed(ErrorKind::AlreadyExists.into())),
        // The host cannot have a file of this name.
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let (temporary, file) = create_temporary(directory).map_err(failed)?;
    // From the start, nobody can read the new file who cannot read the old one.
    let old = fs::metadata(&path).ok().filter(|_| if_exists == IfExists::Replace);
    let permitted = old.map_or(Ok(()), |old| file.set_permissions(old.permissions()));
    let written = permitted.and_then(|()| fill(file, bytes)).and_then(|()| match if_exists {
        IfExists::Replace => fs::rename(&temporary, &path),
        IfExists::Fail => name_new(&temporary, &path),
    });
    match written {
        Ok(()) => {
            // The name must be durable, too, where the host can sync a directory.
            if let Ok(directory) = File::open(directory) {
                _ = directory.sync_all();
            }
            Ok(())
        }
        Err(source) => {
            _ = fs::remove_file(&temporary);
            Err(failed(source))
        }
    }
}

/// Creates a file under a name that is not in use.
fn create_temporary(directory: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".vm-fdc-{}-{count}.new", process::id()));
        match File::create_new(&path) {
            // The name of a file that another process left behind or is writing.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && count < u32::MAX => {}
            outcome => return outcome.map(|file| (path, file)),
        }
    }
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Renames a file. Fails if the new name is in use.
fn name_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {
            // The file is complete under its new name, whether or not the old name goes.
            _ = fs::remove_file(from);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // A file system without links. An empty file reserves the name, and is then replaced.
        Err(_) => {
            drop(File::create_new(to)?);
            fs::rename(from, to).inspect_err(|_| _ = fs::remove_file(to))
        }
    }
}

#[cfg(feature = "fat")]
mod fat {
    use std::io::Cursor;

    use fatfs::{FatType, FormatVolumeOptions, format_volume};

    use super::{CreateError, Layout};
    use crate::media::geometry::{FormFactor, Geometry};

    /// Returns what DOS writes into the BIOS parameter block of such a disk: the media descriptor, the sectors per
    /// cluster, and the entries in the root directory. A disk that DOS does not know gets the values of one of its
    /// density.
    fn parameters(geometry: &Geometry) -> (u8, u8, u16) {
        let (form, sectors) = (geometry.form_factor(), geometry.sectors());
        let total = u32::from(geometry.cylinders()) * u32::from(geometry.heads()) * u32::from(sectors);
        match (form, geometry.cylinders(), geometry.heads(), sectors) {
            _ if geometry.size_code() == 3 => (0xFE, 1, 192),
            (FormFactor::Inch5_25, 40..=42, 1, 8) => (0xFE, 1, 64),
            (FormFactor::Inch5_25, 40..=42, 1, 9) => (0xFC, 1, 64),
            (FormFactor::Inch5_25, 40..=42, 2, 8) => (0xFF, 2, 112),
            (FormFactor::Inch5_25, 40..=42, ..) => (0xFD, 2, 112),
            (FormFactor::Inch3_5, _, 1, 9) => (0xF8, 2, 112),
            (_, _, _, ..15) => (0xF9, 2, 112),
            (FormFactor::Inch5_25, .., 15) => (0xF9, 1, 224),
            (FormFactor::Inch3_5, 80, 2, 21) => (0xF0, 4, 16),
            // FAT12 has at most 4,084 clusters.
            _ if total > 4_000 => (0xF0, if total > 7_900 { 4 } else { 2 }, 240),
            _ => (0xF0, 1, 224),
        }
    }

    /// Returns the bytes with an empty file system in them.
    pub(super) fn format(bytes: Vec<u8>, layout: Layout, label: [u8; 11]) -> Result<Vec<u8>, CreateError> {
        let Layout::Regular(geometry) = layout else { return Err(CreateError::NoFat { layout, source: None }) };
        let (media, sectors_per_cluster, root_entries) = parameters(&geometry);
        let sector = geometry.sector_size();
        let options = FormatVolumeOptions::new()
            .bytes_per_sector(u16::try_from(sector).unwrap_or(u16::MAX))
            .bytes_per_cluster(u32::from(sectors_per_cluster) * sector as u32)
            .fat_type(FatType::Fat12)
            .max_root_dir_entries(root_entries)
            .media(media)
            .sectors_per_track(geometry.sectors().into())
            .heads(geometry.heads().into())
            .drive_num(0)
            .volume_label(label);
        let mut image = Cursor::new(bytes);
        format_volume(&mut image, options).map_err(|error| CreateError::NoFat { layout, source: Some(error) })?;
        Ok(image.into_inner())
    }
}
