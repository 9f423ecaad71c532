//! The program: the allocator and the exit code. Everything else is in the library, see `drawbridge::cli`.

use std::process::ExitCode;

// Takes about a sixth off the CPU of a request, compared with the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    drawbridge::cli::run(std::env::args_os()).into()
}
