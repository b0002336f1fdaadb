//! The HTTP server in one process: what it refuses, what it survives, and what it sends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "what a test does not expect shall end it loudly"
)]

mod contract;
mod face;
mod http;
mod malformed;
mod outcome;
mod readme;
mod refused;
mod send;
mod story;
mod support;
