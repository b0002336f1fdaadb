//! Reads fjall's journal format (3.1), commit by commit, without believing a length in it. The
//! marks it looks for are the committer's.
//!
//! ```text
//! commit  1, items: u32, seqno: u64, item × items, 3, xxh3 of the items: u64, "FJL\x03"
//! item    2, type: u8, compression: u8, keyspace: u64, key length: u16, value length: u32, stored length: u32, key, value
//!         4, keyspace: u64
//! ```

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Take};
use std::path::Path;

use bytes::Bytes;
use rustix::fs::seek;
use xxhash_rust::xxh3::Xxh3;

use crate::store::key::{Key, Parts};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
/// The type of an item that sets a row; the others remove one.
const VALUE: u8 = 0;
const TRAILER: &[u8] = b"FJL\x03";

/// What every commit carries: its number, and the newest one that was surely synced when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) commit: u64,
    pub(crate) synced: u64,
}

impl Mark {
    /// The key of the mark's row; no other row has it.
    pub(crate) const KEY: u8 = b'z';

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        Key::default().number(self.commit).number(self.synced).into_bytes()
    }

    pub(crate) fn parse(row: &[u8]) -> Option<Self> {
        let mut parts = Parts::of(row);
        let mark = Self { commit: parts.number()?, synced: parts.number()? };
        parts.rest().is_empty().then_some(mark)
    }
}

/// What lies at a place in a journal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// A commit with a matching checksum.
    Whole {
        length: u64,
        /// Its mark; commits of fjall itself have none.
        mark: Option<Mark>,
        /// fjall's number of it. No checksum covers it.
        version: u64,
        /// What it sets and removes, when that was asked for: keyspace, key, value.
        rows: Vec<(u64, Vec<u8>, Option<Bytes>)>,
    },
    /// A commit that has an end but not that content: fjall does not open such a journal.
    Refused,
    /// No commit, or the beginning of one: fjall cuts the journal here.
    Broken,
}

/// Reads one commit, with its rows or without.
pub(crate) fn read_commit(from: &mut impl Read, with_rows: bool) -> io::Result<Commit> {
    match (CommitReader { from, length: 0, with_rows, rows: Vec::new() }).commit() {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Commit::Broken),
        commit => commit,
    }
}

struct CommitReader<'a, R> {
    from: &'a mut R,
    length: u64,
    with_rows: bool,
    rows: Vec<(u64, Vec<u8>, Option<Bytes>)>,
}

impl<R: Read> CommitReader<'_, R> {
    fn commit(&mut self) -> io::Result<Commit> {
        if self.array()? != [START] {
            return Ok(Commit::Broken);
        }
        let items = low_first(&self.array::<4>()?);
        let version = low_first(&self.array::<8>()?);
        let mut hash = Xxh3::new();
        let mut mark = None;
        let mut tag = self.array()?;
        let mut left = items;
        while matches!(tag, [ITEM | CLEAR]) {
            if left == 0 {
                return Ok(Commit::Refused);
            }
            left -= 1;
            hash.update(&tag);
            match tag {
                [CLEAR] => hash.update(&self.array::<8>()?),
                _ => mark = self.item(&mut hash)?.or(mark),
            }
            tag = self.array()?;
        }
        if tag != [END] {
            return Ok(Commit::Broken);
        }
        let checksum = self.array::<8>()?;
        if self.array::<4>()? != TRAILER {
            return Ok(Commit::Broken);
        }
        if left != 0 || low_first(&checksum) != hash.digest() {
            return Ok(Commit::Refused);
        }
        let rows = std::mem::take(&mut self.rows);
        Ok(Commit::Whole { length: self.length, mark, version, rows })
    }

    fn item(&mut self, hash: &mut Xxh3) -> io::Result<Option<Mark>> {
        let head = self.array::<20>()?;
        hash.update(&head);
        let [kind, _, keyspace @ .., k0, k1, _, _, _, _, v0, v1, v2, v3] = head;
        let key = self.bytes(low_first(&[k0, k1]), hash)?;
        let value = self.bytes(low_first(&[v0, v1, v2, v3]), hash)?;
        let mark = if key == [Mark::KEY] { Mark::parse(&value) } else { None };
        if self.with_rows {
            let value = (kind == VALUE).then(|| Bytes::from(value));
            self.rows.push((low_first(&keyspace), key, value));
        }
        Ok(mark)
    }

    /// Reads so many bytes; without rows only the beginning is kept, which is all of a mark.
    fn bytes(&mut self, length: u64, hash: &mut Xxh3) -> io::Result<Vec<u8>> {
        let (mut kept, mut left) = (Vec::new(), length);
        let mut buffer = [0; 4096];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let part = buffer.get_mut(..most).unwrap_or_default();
            self.from.read_exact(part)?;
            hash.update(part);
            if self.with_rows || kept.is_empty() {
                kept.extend_from_slice(part);
            }
            left -= most as u64;
        }
        self.length += length;
        Ok(kept)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        self.from.read_exact(&mut array)?;
        self.length += N as u64;
        Ok(array)
    }
}

/// A journal, up to the hole at its end: it is created 64 MiB long and is mostly empty.
pub(crate) fn open(path: &Path) -> io::Result<BufReader<Take<File>>> {
    let mut file = File::open(path)?;
    let mut end = 0;
    while let Ok(data) = seek(&file, rustix::fs::SeekFrom::Data(end)) {
        match seek(&file, rustix::fs::SeekFrom::Hole(data)) {
            Ok(hole) if hole > end => end = hole,
            _ => break,
        }
    }
    file.rewind()?;
    Ok(BufReader::new(file.take(end)))
}

/// What a journal has from a place on, without the zeros at its end. They are recognised page by page and not kept.
pub(crate) fn rest_of(file: &mut (impl Read + Seek), from: u64) -> io::Result<Vec<u8>> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    file.seek(SeekFrom::Start(from))?;
    let (mut rest, mut zeros) = (Vec::new(), 0);
    loop {
        let mut page = Vec::with_capacity(ZEROS.len());
        let size = file.take(ZEROS.len() as u64).read_to_end(&mut page)?;
        if size == 0 {
            return Ok(rest);
        }
        if ZEROS.starts_with(&page) {
            zeros += size;
        } else {
            rest.resize(rest.len() + zeros, 0);
            rest.append(&mut page);
            zeros = 0;
        }
    }
}

/// fjall writes its numbers with the low byte first.
pub(crate) fn low_first(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mark_survives(commit: u64, synced: u64) {
            let mark = Mark { commit, synced };
            prop_assert_eq!(Mark::parse(&mark.into_bytes()), Some(mark));
        }
    }
}
