//! Images: how one is opened, how its sectors lie, and new ones.

use std::ffi::c_char;

use super::{
    Failure, border,
    codes::{self, Code, vm_fdc_result_t},
    config::Versioned,
    put, text,
};
use crate::{
    drive::DriveType,
    media::{BlankImage, Format, Geometry, IfExists, ImageOptions, Layout},
};

/// How the sectors of a disk lie.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_layout_t {
    /// One of `VM_FDC_LAYOUT_BY_SIZE`, `VM_FDC_LAYOUT_REGULAR` and `VM_FDC_LAYOUT_XDF`. The others matter only to the second.
    pub kind: u32,
    /// Cylinders, 1 to 86.
    pub cylinders: u8,
    /// Heads, 1 or 2.
    pub heads: u8,
    /// Sectors a track, 1 to 63.
    pub sectors: u8,
    /// A sector has `128 << size_code` bytes; 0 to 7, and 2 for those of 512.
    pub size_code: u8,
    /// One of `VM_FDC_RATE_500` and the others.
    pub rate: u32,
    /// One of `VM_FDC_FORM_5_25` and `VM_FDC_FORM_3_5`.
    pub form_factor: u32,
}

impl vm_fdc_layout_t {
    /// What the library calls it; `None` where the size of a file is to tell.
    fn layout(&self) -> Result<Option<Layout>, Failure> {
        match self.kind {
            codes::VM_FDC_LAYOUT_BY_SIZE => Ok(None),
            codes::VM_FDC_LAYOUT_REGULAR => {
                let (rate, form_factor) = (Code::of_code(self.rate)?, Code::of_code(self.form_factor)?);
                let Self { cylinders, heads, sectors, size_code, .. } = *self;
                Ok(Some(Geometry::new(cylinders, heads, sectors, size_code, rate, form_factor)?.into()))
            }
            codes::VM_FDC_LAYOUT_XDF => Ok(Some(Layout::Xdf)),
            kind => Err(Failure::misuse(format!("kind of layout: there is no {kind}"))),
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
            Layout::Xdf => Self {
                kind: codes::VM_FDC_LAYOUT_XDF,
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

/// How an image is opened. Set `size`, and leave what need not be said 0; a null pointer in its place says nothing at all:
/// read and write, the layout by the size of the file, in memory, saved at the release.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vm_fdc_image_options_t {
    /// The size of this structure, as in `vm_fdc_config_t`.
    pub size: usize,
    /// One of `VM_FDC_ACCESS_READ_WRITE` and the others.
    pub access: u32,
    /// One of `VM_FDC_BACKING_MEMORY` and `VM_FDC_BACKING_MAPPED`.
    pub backing: u32,
    /// One of `VM_FDC_DURABILITY_AT_RELEASE` and the others.
    pub durability: u32,
    /// 1: where several formats have the size of the file, the BIOS parameter block in its first sector chooses. A guest can
    /// have written that.
    pub trust_boot_sector: u32,
    /// Which layout the disk has.
    pub layout: vm_fdc_layout_t,
}

impl vm_fdc_image_options_t {
    /// Nothing is said.
    const DEFAULT: Self = Self {
        size: size_of::<Self>(),
        access: codes::VM_FDC_ACCESS_READ_WRITE,
        backing: codes::VM_FDC_BACKING_MEMORY,
        durability: codes::VM_FDC_DURABILITY_AT_RELEASE,
        trust_boot_sector: 0,
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

// SAFETY: numbers.
unsafe impl Versioned for vm_fdc_image_options_t {
    const NAME: &'static str = "vm_fdc_image_options_t";
    const FIRST: usize = size_of::<Self>();
}

/// What a caller says of an image.
///
/// # Safety
///
/// `options` is null, or points to a structure that the header describes.
pub(super) unsafe fn options(options: *const vm_fdc_image_options_t) -> Result<ImageOptions, Failure> {
    let defaults = vm_fdc_image_options_t::DEFAULT;
    // SAFETY: it is not null where it is used, and the caller promises the rest.
    let given = if options.is_null() { defaults } else { unsafe { vm_fdc_image_options_t::take(options, defaults) }? };
    let mut options = ImageOptions::new(Code::of_code(given.access)?).durability(Code::of_code(given.durability)?);
    options = match Code::of_code(given.backing)? {
        codes::Backing::Memory => options,
        // SAFETY: the header asks for it where it names the code.
        codes::Backing::Mapped => unsafe { options.mapped() },
    };
    if Code::of_code(given.trust_boot_sector)? {
        options = options.trust_boot_sector();
    }
    Ok(given.layout.layout()?.map_or(options, |layout| options.layout(layout)))
}

/// Puts into `layout` how the sectors lie on the one disk for drives of the type `drive_type` whose raw image has `bytes`
/// bytes: `vm_fdc_layout_of(VM_FDC_DRIVE_1440K, 1474560, &layout)`. `VM_FDC_E_INVALIDARG` when there is none, or more than
/// one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_layout_of(
    drive_type: u32,
    bytes: u64,
    layout: *mut vm_fdc_layout_t,
) -> vm_fdc_result_t {
    border(|| {
        let drive_type: Option<DriveType> = Code::of_code(drive_type)?;
        let drive_type = drive_type.ok_or_else(|| Failure::misuse("no drive takes a disk"))?;
        let formats: Vec<_> = Format::of_size(bytes).filter(|format| drive_type.accepts(format.layout)).collect();
        let [format] = formats[..] else {
            return Err(Failure::misuse(format!(
                "{} formats of {bytes} bytes for a {drive_type} drive",
                formats.len()
            )));
        };
        // SAFETY: the header asks for it.
        unsafe { put(layout, "layout", format.layout.into()) }
    })
}

/// Creates a raw image of a blank disk in the file `path`, which is there whole afterwards or not at all. Its sectors are
/// filled with `filler`, 0 to 255: 0xF6 is that of a disk that was only formatted. If `fat_label` is not null, a FAT12 file
/// system is put on it with that label, of at most 11 ASCII characters, in a library that was built with the feature `fat`.
///
/// `if_exists` is one of `VM_FDC_IF_EXISTS_FAIL` and `VM_FDC_IF_EXISTS_REPLACE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vm_fdc_create_image(
    path: *const c_char,
    layout: *const vm_fdc_layout_t,
    filler: u32,
    fat_label: *const c_char,
    if_exists: u32,
) -> vm_fdc_result_t {
    border(|| {
        // SAFETY: the header asks for it.
        let path = unsafe { text::path(path) }?;
        // SAFETY: the header asks for it.
        let layout = unsafe { layout.as_ref() }.ok_or_else(|| Failure::null("layout"))?.layout()?;
        let layout = layout.ok_or_else(|| Failure::misuse("a blank disk has no size that could tell its layout"))?;
        let filler = u8::try_from(filler).map_err(|_| Failure::misuse(format!("{filler} is no byte")))?;
        let if_exists: IfExists = Code::of_code(if_exists)?;
        let mut blank = BlankImage::new(layout).filler(filler);
        if !fat_label.is_null() {
            // SAFETY: the header asks for it.
            let label = unsafe { text::string(fat_label, "fat_label") }?;
            let label = label.to_str().map_err(|_| Failure::misuse("the label is not ASCII"))?;
            blank = with_fat(blank, label)?;
        }
        blank.create(path, if_exists)?;
        Ok(codes::VM_FDC_S_OK)
    })
}

/// With a file system.
#[cfg(feature = "fat")]
fn with_fat(blank: BlankImage, label: &str) -> Result<BlankImage, Failure> {
    Ok(blank.fat(label)?)
}

/// With a file system, which there is not.
#[cfg(not(feature = "fat"))]
fn with_fat(_blank: BlankImage, _label: &str) -> Result<BlankImage, Failure> {
    Err(Failure::misuse("the library was built without the feature `fat`"))
}
