//! The `hearsight` command.
fn main() {}
