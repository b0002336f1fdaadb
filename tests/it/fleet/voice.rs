//! Voice notes, as a program that is not moonwa's plays them.

use super::files::Story;
use super::support::to;
use anyhow::{Context, Result};
use moonwa::facade::model::{Content, MediaKind, SendRequest};
use moonwa_simulator::wa;

/// The beginning of a WAV of 16 bits, as opusdec writes it.
const HEAD: usize = 44;

async fn voice(story: &Story, file: &[u8]) -> Result<SendRequest> {
    let content = Content::Media {
        media: MediaKind::Voice,
        source: story.gateway.uploaded(file).await?,
        // What a caller says of it is often wrong.
        mime: Some("audio/mpeg".to_owned()),
        filename: None,
        caption: None,
        thumbnail: None,
        as_document: false,
    };
    Ok(to(story.bob.number(), content))
}

/// The samples that opusdec plays, 48,000 a second.
fn played(note: &[u8]) -> Result<Vec<i16>> {
    let directory = tempfile::tempdir()?;
    let (ogg, wav) = (directory.path().join("note.ogg"), directory.path().join("note.wav"));
    std::fs::write(&ogg, note)?;
    let mut opusdec = std::process::Command::new("opusdec");
    opusdec.args(["--quiet", "--no-dither", "--rate", "48000"]).arg(&ogg).arg(&wav);
    anyhow::ensure!(opusdec.status().context("opus-tools is needed")?.success(), "it plays");
    let wav = std::fs::read(&wav)?;
    anyhow::ensure!(wav.get(22..24) == Some(&[1, 0]), "one channel");
    let samples = wav.get(HEAD..).context("samples")?.chunks_exact(2);
    // The format is little-endian.
    Ok(samples.map(|pair| i16::from_be_bytes([pair[1], pair[0]])).collect())
}

/// The tone of the fixtures: 440 Hz for two seconds, of which the first is loud.
fn is_the_tone(kind: &str, message: &wa::Message, samples: &[i16]) {
    let voice = message.audio_message.as_option().unwrap();
    assert_eq!((voice.ptt, voice.seconds), (Some(true), Some(2)), "{kind}");
    assert_eq!(voice.mimetype.as_deref(), Some("audio/ogg; codecs=opus"), "{kind}");
    assert_eq!(voice.waveform.as_ref().map(Vec::len), Some(64), "{kind}");
    assert!(samples.len().abs_diff(96_000) < 4_800, "{kind}: {} samples", samples.len());
    let second = &samples[20_000..68_000];
    let crossings = second.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
    assert!(crossings.abs_diff(880) <= 8, "{kind}: {crossings} crossings in a second");
    let loudness = |part: &[i16]| part.iter().map(|s| u64::from(s.unsigned_abs())).sum::<u64>();
    let (loud, quiet) = (loudness(&samples[10_000..40_000]), loudness(&samples[55_000..85_000]));
    assert!((4 * quiet..=5 * quiet).contains(&loud), "{kind}: {loud} and {quiet}");
}

#[tokio::test]
async fn what_people_have_plays_as_a_voice_note() -> Result<()> {
    let story = Story::begin(6).await?;
    for (kind, file) in [
        ("mp3", include_bytes!("sounds/tone.mp3").as_slice()),
        ("m4a", include_bytes!("sounds/tone.m4a")),
        ("wav", include_bytes!("sounds/tone.wav")),
        ("ogg", include_bytes!("sounds/tone.ogg")),
        ("stereo", include_bytes!("sounds/stereo.opus")),
        ("mono", include_bytes!("sounds/mono.opus")),
    ] {
        let got = story.sent(voice(&story, file).await?).await?.message;
        let note = story.bob.media(&got)?;
        assert_eq!(note == file, kind == "mono", "{kind}");
        is_the_tone(kind, &got, &played(&note)?);
    }
    story.end().await;
    Ok(())
}

#[tokio::test]
async fn what_cannot_play_is_refused() -> Result<()> {
    let story = Story::begin(7).await?;
    for file in [b"ID3\x04 no sound at all".as_slice(), b"#!AMR\n\x3c", b"<html></html>"] {
        story.refused(voice(&story, file).await?, "media_type_mismatch").await?;
    }
    story.end().await;
    Ok(())
}
