//! The HTTP server in one process: what it refuses, what it survives, and what it sends.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on fails"
)]

mod http;
mod send;
mod support;
