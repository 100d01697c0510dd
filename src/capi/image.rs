//! Images: the options to open one, its layout, and the creation of blank images.

use std::ffi::c_char;

use super::{
    Failure,
    codes::{self, Code, vm_fdc_result_t},
    config::Versioned,
    ffi_guard, text, write_output,
};
use crate::{
    drive::DriveType,
    media::{BlankImage, Format, Geometry, IfExists, ImageOptions, Layout},
};

/// Layout of a disk: how its sectors are arranged.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_layout_t {
    /// A `VM_FDC_LAYOUT_` number. The other members are used only for `VM_FDC_LAYOUT_REGULAR`.
    pub kind: u32,
    /// Number of cylinders, 1 to 86.
    pub cylinders: u8,
    /// Number of heads, 1 or 2.
    pub heads: u8,
    /// Number of sectors on a track, 1 to 63.
    pub sectors: u8,
    /// Size code of the sectors, 0 to 7: a sector has `128 << size_code` bytes. 2 is 512 bytes.
    pub size_code: u8,
    /// Data rate: a `VM_FDC_RATE_` number.
    pub rate: u32,
    /// Form factor: a `VM_FDC_FORM_` number.
    pub form_factor: u32,
}

impl vm_fdc_layout_t {
    /// Returns the layout of the library; `None` if the size of the file determines it.
    fn layout(&self) -> Result<Option<Layout>, Failure> {
        match self.kind {
            codes::VM_FDC_LAYOUT_BY_SIZE => Ok(None),
            codes::VM_FDC_LAYOUT_REGULAR => {
                let (rate, form_factor) = (Code::of_code(self.rate)?, Code::of_code(self.form_factor)?);
                let Self { cylinders, heads, sectors, size_code, .. } = *self;
                Ok(Some(Geometry::new(cylinders, heads, sectors, size_code, rate, form_factor)?.into()))
            }
            codes::VM_FDC_LAYOUT_XDF => Ok(Some(Layout::Xdf)),
            codes::VM_FDC_LAYOUT_XDF_5_25 => Ok(Some(Layout::Xdf5_25)),
            kind => Err(Failure::invalid_argument(format!("kind of layout: there is no number {kind}"))),
        }
    }
}

impl From<Layout> for vm_fdc_layout_t {
    fn from(layout: Layout) -> Self {
        let (rate, form_factor) = (layout.rate().code(), layout.form_factor().code());
        match layout {
            Layout::Regular(geometry) => Self {
                kind: codes::VM_FDC_LAYOUT_REGULAR,
                cylinders: geometry.cylinders(),
                heads: geometry.heads(),
                sectors: geometry.sectors(),
                size_code: geometry.size_code(),
                rate,
                form_factor,
            },
            Layout::Xdf | Layout::Xdf5_25 => Self {
                kind: if layout == Layout::Xdf { codes::VM_FDC_LAYOUT_XDF } else { codes::VM_FDC_LAYOUT_XDF_5_25 },
                cylinders: layout.cylinders(),
                heads: 2,
                sectors: 0,
                size_code: 0,
                rate,
                form_factor,
            },
        }
    }
}

/// Options to open an image. Set `size` and clear all other members, then set the members that differ from their
/// defaults: 0 is the default of each. A null pointer instead of the structure selects all defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_image_options_t {
    /// Size of this structure in bytes, as in `vm_fdc_config_t`.
    pub size: usize,
    /// Access to the file: a `VM_FDC_ACCESS_` number. Default: `VM_FDC_ACCESS_READ_WRITE`.
    pub access: u32,
    /// Place of the bytes of the image: a `VM_FDC_BACKING_` number. Default: `VM_FDC_BACKING_MEMORY`.
    pub backing: u32,
    /// Time at which writes reach the disk of the host: a `VM_FDC_DURABILITY_` number. Default:
    /// `VM_FDC_DURABILITY_AT_RELEASE`.
    pub durability: u32,
    /// Treatment of a file that is shorter or longer than its disk: a `VM_FDC_LENGTH_` number. Default:
    /// `VM_FDC_LENGTH_EXACT`.
    pub length: u32,
    /// Lock of the file: a `VM_FDC_LOCK_` number. Default: `VM_FDC_LOCK_REQUIRED`.
    pub lock: u32,
    /// 1: if several formats have the size of the file, or none, the numbers of the BIOS parameter block in the first
    /// sector select the layout. Note that a guest can write that sector. 0 (default): such a file is refused without a
    /// `layout`.
    pub boot_sector_geometry: u32,
    /// 1: the guest can format the disk in another layout that the drive can write, as `FORMAT A: /F:720` does with a disk
    /// of 1.44M, and a file of 0 bytes is a blank disk that gets its layout from its first format. With the last track of
    /// the format the image is the new disk, and observers get `VM_FDC_MEDIA_REFORMATTED`; the file gets its length. A
    /// release fails while the guest has written to tracks of a format that is not complete. Not for a mapped file, a host
    /// drive, or a file that is longer than its disk. 0 (default): a format in another layout fails.
    pub reformat: u32,
    /// Layout of the disk. Default: the layout that the size of the file determines, `VM_FDC_LAYOUT_BY_SIZE`.
    pub layout: vm_fdc_layout_t,
}

impl vm_fdc_image_options_t {
    /// Defaults of all members.
    const DEFAULT: Self = Self {
        size: size_of::<Self>(),
        access: codes::VM_FDC_ACCESS_READ_WRITE,
        backing: codes::VM_FDC_BACKING_MEMORY,
        durability: codes::VM_FDC_DURABILITY_AT_RELEASE,
        length: codes::VM_FDC_LENGTH_EXACT,
        lock: codes::VM_FDC_LOCK_REQUIRED,
        boot_sector_geometry: 0,
        reformat: 0,
        layout: vm_fdc_layout_t {
            kind: codes::VM_FDC_LAYOUT_BY_SIZE,
            cylinders: 0,
            heads: 0,
            sectors: 0,
            size_code: 0,
            rate: 0,
            form_factor: 0,
        },
    };
}

// SAFETY: its members are numbers.
unsafe impl Versioned for vm_fdc_image_options_t {
    const NAME: &'static str = "vm_fdc_image_options_t";
    const FIRST: usize = size_of::<Self>();
}

/// Converts the options of a caller.
///
/// # Safety
///
/// `options` is null, or points to a structure as the header requires.
pub(super) unsafe fn options(options: *const vm_fdc_image_options_t) -> Result<ImageOptions, Failure> {
    let defaults = vm_fdc_image_options_t::DEFAULT;
    let given = if options.is_null() {
        defaults
    } else {
        // SAFETY: it is not null, and the caller promises the rest.
        unsafe { vm_fdc_image_options_t::copy_from(options, defaults) }?
    };
    let mut options = ImageOptions::new(Code::of_code(given.access)?).with_durability(Code::of_code(given.durability)?);
    options = options.with_length(Code::of_code(given.length)?).with_lock(Code::of_code(given.lock)?);
    options = match Code::of_code(given.backing)? {
        codes::Backing::Memory => options,
        // SAFETY: the header requires at this code that nobody else writes or truncates the file.
        codes::Backing::Mapped => unsafe { options.with_mapping() },
    };
    if Code::of_code(given.boot_sector_geometry)? {
        options = options.with_boot_sector_geometry();
    }
    options = options.with_reformat(Code::of_code(given.reformat)?);
    Ok(given.layout.layout()?.map_or(options, |layout| options.with_layout(layout)))
}

/// Writes to `layout` the layout of the disk for drives of type `drive_type` whose raw image has `bytes` bytes.
/// Example: `vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &layout)`. `VM_FDC_E_INVALIDARG` if there is no such disk,
/// or more than one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_layout_of(
    drive_type: u32,
    bytes: u64,
    layout: *mut vm_fdc_layout_t,
) -> vm_fdc_result_t {
    ffi_guard(|| {
        let drive_type: Option<DriveType> = Code::of_code(drive_type)?;
        let drive_type = drive_type.ok_or_else(|| Failure::invalid_argument("VM_FDC_DRIVE_NONE takes no disk"))?;
        let formats: Vec<_> = Format::of_size(bytes).filter(|format| drive_type.accepts(format.layout)).collect();
        let [format] = formats[..] else {
            let count = formats.len();
            let message = format!("{count} formats have {bytes} bytes and fit a {drive_type} drive; one is required");
            return Err(Failure::invalid_argument(message));
        };
        // SAFETY: as the header requires.
        unsafe { write_output(layout, "layout", format.layout.into()) }
    })
}

/// Creates a raw image of a blank disk in the file `path`. The complete file is created, or none. `filler`, 0 to 255,
/// is the value of all bytes; 0xF6 is usual for a formatted disk. If `fat_label` is not null, the disk gets a FAT12
/// file system with this label, of at most 11 ASCII characters; this requires a library that was built with the feature
/// `fat`.
///
/// `if_exists` is a `VM_FDC_IF_EXISTS_` number. `layout->kind` must not be `VM_FDC_LAYOUT_BY_SIZE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_create_image(
    path: *const c_char,
    layout: *const vm_fdc_layout_t,
    filler: u32,
    fat_label: *const c_char,
    if_exists: u32,
) -> vm_fdc_result_t {
    ffi_guard(|| {
        // SAFETY: as the header requires.
        let path = unsafe { text::path(path) }?;
        // SAFETY: as the header requires.
        let layout = unsafe { layout.as_ref() }.ok_or_else(|| Failure::null("layout"))?.layout()?;
        let layout =
            layout.ok_or_else(|| Failure::invalid_argument("a blank disk needs a layout other than BY_SIZE"))?;
        let filler = u8::try_from(filler).map_err(|_| {
            Failure::invalid_argument(format!("filler is {filler}; the largest value of a byte is 255"))
        })?;
        let if_exists: IfExists = Code::of_code(if_exists)?;
        let mut blank = BlankImage::new(layout).with_filler(filler);
        if !fat_label.is_null() {
            // SAFETY: as the header requires.
            let label = unsafe { text::string(fat_label, "fat_label") }?;
            let label = label.to_str().map_err(|_| Failure::invalid_argument("fat_label is not ASCII"))?;
            blank = with_fat(blank, label)?;
        }
        blank.create(path, if_exists)?;
        Ok(codes::VM_FDC_S_OK)
    })
}

/// Creates a file of 0 bytes at `path`: a disk that was never formatted, to be attached with `reformat` in the options.
/// `if_exists` is a `VM_FDC_IF_EXISTS_` number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_create_unformatted_image(path: *const c_char, if_exists: u32) -> vm_fdc_result_t {
    ffi_guard(|| {
        // SAFETY: as the header requires.
        let path = unsafe { text::path(path) }?;
        BlankImage::create_unformatted(path, Code::of_code(if_exists)?)?;
        Ok(codes::VM_FDC_S_OK)
    })
}

/// Adds a file system to a blank disk.
#[cfg(feature = "fat")]
fn with_fat(blank: BlankImage, label: &str) -> Result<BlankImage, Failure> {
    Ok(blank.with_fat(label)?)
}

/// Refuses a file system, which this build of the library cannot create.
#[cfg(not(feature = "fat"))]
fn with_fat(_blank: BlankImage, _label: &str) -> Result<BlankImage, Failure> {
    Err(Failure::invalid_argument("fat_label is not null, but the library was built without the feature `fat`"))
}
