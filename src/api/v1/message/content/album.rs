//! An album as callers write it.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::issues::Issues;
use super::media::MediaBody;
use crate::model::{Content, MediaKind};

/// As many as WhatsApp's own apps send at once.
const FILES: RangeInclusive<usize> = 2..=30;

/// One of its files.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AlbumBody {
    image: Option<MediaBody>,
    video: Option<MediaBody>,
}

/// The files of an album, in order.
pub(super) fn album(items: Vec<AlbumBody>, issues: &mut Issues) -> Vec<Content> {
    if !FILES.contains(&items.len()) {
        issues.add("album", "2 to 30 pictures and films");
    }
    let mut files = Vec::with_capacity(items.len());
    for (n, AlbumBody { image, video }) in items.into_iter().enumerate() {
        let path = format!("album[{n}]");
        if image.iter().chain(&video).any(|file| file.as_document) {
            issues.add(&path, "as_document: an album has pictures and films alone");
        }
        match (image, video) {
            (Some(image), None) => {
                files.push(image.content(&format!("{path}.image"), MediaKind::Image, issues));
            }
            (None, Some(video)) => {
                files.push(video.content(&format!("{path}.video"), MediaKind::Video, issues));
            }
            _ => issues.add(&path, "give either image or video"),
        }
    }
    files
}
