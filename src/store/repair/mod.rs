//! Finds and mends damage in the files of a store, and keeps beside the databases what is needed for that.

pub(crate) mod checked;
pub(crate) mod damage;
pub(crate) mod file;
pub(crate) mod identities;
pub(crate) mod inspect;
pub(crate) mod journal_file;
mod rebuild;
pub(crate) mod salvage;
pub(crate) mod table_file;
pub(crate) mod vital;

pub(crate) use rebuild::{Keeps, Repaired, finish, outbox, state};
