//! The memory that each machine takes for one image that many have. A binary of its own, because it counts what the whole
//! process allocates. `benches/memory.rs` prints the same figures.

#[path = "kit/memory.rs"]
mod memory;

#[test]
fn a_thousand_machines_share_the_bytes_of_one_image() {
    memory::print();
}
