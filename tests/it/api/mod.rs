//! The HTTP server in one process: what it refuses, what it survives, and what it sends.

mod album;
mod contract;
mod face;
mod http;
mod malformed;
mod outcome;
mod programs;
mod readme;
mod refused;
mod send;
mod story;
mod support;
