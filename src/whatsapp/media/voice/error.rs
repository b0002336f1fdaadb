//! Why there is no voice note.

use std::io;

/// More is no voice note, and would keep a processor busy for minutes.
pub(super) const LONGEST_MINUTES: u32 = 60;

/// Why there is no voice note.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VoiceError {
    #[error(
        "a voice note is made of mp3, m4a (AAC-LC), wav or ogg (Opus, Vorbis), and this file cannot be read as one: {0}; as_document: true sends it as a document"
    )]
    Unreadable(String),
    #[error("the file has no sound")]
    Silent,
    #[error("a voice note has {LONGEST_MINUTES} minutes at most")]
    TooLong,
    #[error("nobody waits for the voice note any more")]
    Cancelled,
    #[error(transparent)]
    Disk(#[from] io::Error),
}
