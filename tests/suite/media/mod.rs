//! Images: formats, files, and the host's file system.

use super::kit;

mod create;
mod durability;
mod formats;
mod host;
mod images;
mod lengths;
mod open_files;
mod overlay;
mod saving;
mod shared;
