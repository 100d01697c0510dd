//! New image files: blank ones, formatted if wanted, and copies of a disk. Each is written under another name and then
//! renamed, so that a file of the wanted name is whole.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf, absolute},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::Layout;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IfExists {
    /// It stays, and nothing is created.
    #[default]
    Fail,
    /// The new file takes its place, with its permissions. Whoever has the old one open keeps that. Of a symbolic link it takes
    /// the place of the link.
    Replace,
}

/// Why a file was not created. None of its name is there that was not there before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The path is empty, or ends with no name.
    #[error("{path:?} names no file")]
    NoName {
        /// The path as it was given.
        path: PathBuf,
    },
    /// There is a file of that name, and it was not to be replaced.
    #[error("{} exists", .path.display())]
    Exists {
        /// The absolute path.
        path: PathBuf,
    },
    /// The host could not do it.
    #[error("cannot create {}", .path.display())]
    Io {
        /// The absolute path.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// There is no memory for the image.
    #[error("out of memory")]
    OutOfMemory,
    /// No FAT volume can have this label.
    #[error("{label:?} is no volume label")]
    Label {
        /// The label.
        label: String,
    },
    /// A disk of this layout cannot be given a file system.
    #[error("no FAT file system can be put on a disk of {layout}")]
    NoFat {
        /// The layout.
        layout: Layout,
        /// What the file system said; `None` when it was not asked.
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
    /// A disk of this layout whose sectors are filled with 0xF6, as those of a disk that was only formatted.
    #[must_use]
    pub fn new(layout: impl Into<Layout>) -> Self {
        Self {
            layout: layout.into(),
            filler: 0xF6,
            #[cfg(feature = "fat")]
            fat: None,
        }
    }

    /// Fills the sectors with this.
    #[must_use]
    pub const fn filler(mut self, filler: u8) -> Self {
        self.filler = filler;
        self
    }

    /// Puts an empty FAT12 file system on it, as DOS does. Not for XDF.
    ///
    /// # Errors
    ///
    /// [`CreateError::Label`] for a volume label of more than 11 characters, or with others than letters, digits, spaces and
    /// some signs of ASCII. Letters become capitals.
    #[cfg(feature = "fat")]
    pub fn fat(mut self, label: &str) -> Result<Self, CreateError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" !#$%&'()-@^_`{}~".contains(&byte);
        if label.len() > 11 || !label.bytes().all(allowed) {
            return Err(CreateError::Label { label: label.to_owned() });
        }
        let mut padded = [b' '; 11];
        padded.iter_mut().zip(label.bytes()).for_each(|(place, byte)| *place = byte.to_ascii_uppercase());
        self.fat = Some(padded);
        Ok(self)
    }

    /// The bytes of the image.
    ///
    /// # Errors
    ///
    /// [`CreateError::OutOfMemory`] and [`CreateError::NoFat`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, CreateError> {
        // A few megabytes at most.
        let (mut bytes, length) = (Vec::new(), self.layout.bytes() as usize);
        bytes.try_reserve_exact(length).map_err(|_| CreateError::OutOfMemory)?;
        bytes.resize(length, self.filler);
        #[cfg(feature = "fat")]
        if let Some(label) = self.fat {
            return fat::format(bytes, self.layout, label);
        }
        Ok(bytes)
    }

    /// Creates the file `path`.
    ///
    /// # Errors
    ///
    /// A [`CreateError`].
    pub fn create(&self, path: impl AsRef<Path>, if_exists: IfExists) -> Result<(), CreateError> {
        write_file(path.as_ref(), &self.to_bytes()?, if_exists)
    }
}

/// Writes a file that is there whole, or not at all, and on the host's disk when this returns.
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
    // Looked at first to spare the work, and again when the name is taken.
    match path.symlink_metadata() {
        Ok(_) if if_exists == IfExists::Fail => return Err(failed(ErrorKind::AlreadyExists.into())),
        // It cannot be a name at all.
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let (temporary, file) = create_temporary(directory).map_err(failed)?;
    // What takes the place of a file is no more readable, from the start.
    let old = fs::metadata(&path).ok().filter(|_| if_exists == IfExists::Replace);
    let permitted = old.map_or(Ok(()), |old| file.set_permissions(old.permissions()));
    let written = permitted.and_then(|()| fill(file, bytes)).and_then(|()| match if_exists {
        IfExists::Replace => fs::rename(&temporary, &path),
        IfExists::Fail => name_new(&temporary, &path),
    });
    match written {
        Ok(()) => {
            // The name is to last, too, where the host can be asked for that.
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

/// A new file under a name that nobody has.
fn create_temporary(directory: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".vm-fdc-{}-{count}.new", process::id()));
        match File::create_new(&path) {
            // Left by another process, or another's.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && count < u32::MAX => {}
            outcome => return outcome.map(|file| (path, file)),
        }
    }
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file another name, which nothing may have.
fn name_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => {
            // It is there whole, whatever becomes of the other name.
            _ = fs::remove_file(from);
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // A file system without links. The name is taken with an empty file, which then is replaced.
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
    use crate::media::{FormFactor, Geometry};

    /// What DOS puts into the BIOS parameter block of such a disk: the media descriptor, sectors a cluster, and entries in
    /// the root directory. A disk that DOS does not know gets what one of its density has.
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
            // FAT12 counts to 4,084 clusters.
            _ if total > 4_000 => (0xF0, if total > 7_900 { 4 } else { 2 }, 240),
            _ => (0xF0, 1, 224),
        }
    }

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
