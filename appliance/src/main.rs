//! The binary `bongsu`.
fn main() {}
