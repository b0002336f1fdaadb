//! One heap for all threads.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How many heaps glibc may make. It looks when a program begins, and never again.
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// glibc gives each thread a heap of its own, and what is freed in one is of no use to the others: a fifth of all memory.
/// So the program begins once more, in the same process, with one heap. musl, for which releases are built, has one.
pub(crate) fn one_for_all_threads() {
    if !cfg!(target_env = "gnu") || env::var_os(ARENAS).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    let (Some(name), Ok(program)) = (arguments.next(), env::current_exe()) else { return };
    // It returns only when it failed, and then we run on as we are.
    drop(Command::new(program).arg0(name).args(arguments).env(ARENAS, "1").exec());
}
