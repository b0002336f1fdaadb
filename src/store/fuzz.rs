//! What fuzzing feeds here: what may lie on a disk that lost power, or that somebody else wrote to.

use std::io::Cursor as File;

use crate::store::cursor;
use crate::store::cursor::Cursor;
use crate::store::json::from_json;
use crate::store::message::row::Row;
use crate::store::repair::journal_file::Mark;
use crate::store::repair::salvage;
use crate::store::{Parts, Seq, key, log};

/// The rows of both databases.
pub(crate) fn row(bytes: &[u8]) {
    let mut parts = Parts::of(bytes);
    while parts.tag().is_some() && (parts.device().is_some() || parts.text().is_some()) {}
    let results = [
        key::number(bytes).map(drop),
        log::decode(Seq(1), bytes).map(drop),
        cursor::letter(bytes).map(drop),
        from_json::<Cursor>(bytes).map(drop),
        from_json::<Row>(bytes).map(drop),
    ];
    for error in results.into_iter().filter_map(Result::err) {
        assert!(!error.to_string().is_empty(), "a damaged row is refused for no reason");
    }
    if let Some(mark) = Mark::parse(bytes) {
        assert_eq!(mark.into_bytes(), bytes, "a mark has one form");
    }
}

/// A journal, as it is looked through before the database is opened.
pub(crate) fn journal(bytes: &[u8]) {
    let tear = salvage::find_tear(&mut File::new(bytes), None).ok().flatten();
    if let Some(tear) = tear {
        assert!(tear.at <= bytes.len() as u64, "the tear is behind the journal's end");
    }
}
