//! Closed by default: what others on the machine or on the line cannot take, even while they try.

mod canary;
mod crowd;
mod files;
mod hosts;
mod logins;
mod spool;
mod urls;
mod weapons;
