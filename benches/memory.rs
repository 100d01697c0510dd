//! The memory that each of 1,000 machines takes for one image that all have. It prints bytes, which are the same in each run;
//! no time is measured, and arguments have no effect.

#[path = "../tests/kit/memory.rs"]
mod memory;

fn main() {
    memory::print();
}
