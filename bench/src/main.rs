//! Benchmarks: ratios against the peers in one run.
fn main() {}
