//! The chip: registers, timing, overruns, string I/O, random and hostile traffic.

use super::kit;

mod ends;
mod hostile;
mod overrun;
mod random_traffic;
mod register_files;
mod registers;
mod strings;
mod timing;
