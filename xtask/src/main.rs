//! What cargo alone cannot do. `cargo xtask capi` makes the C libraries.
#![forbid(unsafe_code)]

mod capi;
mod pkgconfig;
mod symbols;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["capi"] => capi::run(),
        _ => Err("usage: cargo xtask capi".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
