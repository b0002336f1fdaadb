//! The HTTP server in one process: what it refuses, what it survives, and what it sends.

mod http;
mod send;
mod support;
