//! The project's own commands: `cargo xtask setup | demo | test | eval`.
fn main() {}
