//! The chip: its registers, its timing, and its behaviour under arbitrary and hostile traffic.

use super::kit;

mod hostile;
mod overrun;
mod random_traffic;
mod register_files;
mod registers;
mod strings;
mod timing;
