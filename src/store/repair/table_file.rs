//! Reads the files in which fjall keeps sorted rows (lsm-tree 3.1): the list of a keyspace's tables, and the tables.
//!
//! ```text
//! current  number of the list: u64, its xxh3: u128, 0
//! vN       the list: levels, runs, tables with number, checksum and the number that versions count from
//! ```

use std::fs;
use std::io;
use std::path::Path;

use lsm_tree::coding::Decode;
use lsm_tree::table::block::decoder::ParsedItem;
use lsm_tree::table::block::{BlockType, Header};
use lsm_tree::table::{Block, DataBlock};
use lsm_tree::{CompressionType, InternalValue};
use xxhash_rust::xxh3::xxh3_128;

use crate::store::repair::journal_file::low_first;

/// A table of a keyspace.
pub(crate) struct Table {
    pub(crate) id: u64,
    /// Of the whole file; `None` when no list says.
    pub(crate) checksum: Option<u128>,
    /// The number from which its versions count.
    pub(crate) base: u64,
}

/// The list that counts.
pub(crate) struct List {
    pub(crate) file: String,
    checksum: u128,
}

impl List {
    /// Reads the file `current`.
    pub(crate) fn parse(mut current: &[u8]) -> Option<Self> {
        let number = take(&mut current, 8)?;
        Some(Self { file: format!("v{number}"), checksum: take_u128(&mut current)? })
    }

    /// Its tables, newest first; `None` when it is damaged.
    pub(crate) fn read(&self, bytes: &[u8]) -> Option<Vec<Table>> {
        if xxh3_128(bytes) == self.checksum { list_of_tables(bytes) } else { None }
    }
}

/// Every table that lies in a keyspace's folder, newest first: without a list, each may hold something.
pub(crate) fn all_tables(folder: &Path) -> Vec<Table> {
    let Ok(entries) = fs::read_dir(folder.join("tables")) else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut ids: Vec<u64> = ids.collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.into_iter().map(|id| Table { id, checksum: None, base: 0 }).collect()
}

/// Reads a keyspace's list, newest table first.
fn list_of_tables(bytes: &[u8]) -> Option<Vec<Table>> {
    let reader = sfa::Reader::from_reader(&mut io::Cursor::new(bytes)).ok()?;
    let section = reader.toc().section(b"tables")?;
    let from = usize::try_from(section.pos()).ok()?;
    let length = usize::try_from(section.len()).ok()?;
    let mut rest = bytes.get(from..)?.get(..length)?;
    let mut tables = Vec::new();
    for _level in 0..take(&mut rest, 1)? {
        for _run in 0..take(&mut rest, 1)? {
            for _table in 0..take(&mut rest, 4)? {
                let (id, _xxh3) = (take(&mut rest, 8)?, take(&mut rest, 1)?);
                let (checksum, base) = (take_u128(&mut rest)?, take(&mut rest, 8)?);
                tables.push(Table { id, checksum: Some(checksum), base });
            }
        }
    }
    Some(tables)
}

fn take(bytes: &mut &[u8], length: usize) -> Option<u64> {
    let (number, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(low_first(number))
}

fn take_u128(bytes: &mut &[u8]) -> Option<u128> {
    let (low, high) = (take(bytes, 8)?, take(bytes, 8)?);
    Some((u128::from(high) << 64) | u128::from(low))
}

/// Shows the rows of every block of a table that can be read. Each block has a checksum of its own.
pub(crate) fn each_row(
    table: &[u8],
    compression: CompressionType,
    show: &mut dyn FnMut(&InternalValue),
) {
    let mut at = 0;
    while let Some(rest) = table.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(next) = rest.windows(4).position(|start| start == b"LSM\x03") else { return };
        at += next;
        let Some(rest) = table.get(at..) else { return };
        let Ok(header) = Header::decode_from(&mut &rest[..]) else {
            at += 1;
            continue;
        };
        let block = match header.block_type {
            BlockType::Data => Block::from_reader(&mut &rest[..], compression).ok(),
            _ => None,
        };
        if let Some(block) = block.map(DataBlock::new) {
            for item in block.iter() {
                show(&item.materialize(&block.inner.data));
            }
        }
        at += Header::serialized_len();
    }
}
