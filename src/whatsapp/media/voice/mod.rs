//! Voice notes: WhatsApp's clients play Opus in Ogg with one channel, and nothing else. Other sound is converted; what
//! cannot be is refused, because a note that does not play looks sent to its sender. Everything is done piece by piece, so
//! an hour of sound takes no more memory than a second.

mod error;
mod opus;
mod resample;
mod sound;

use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio_util::sync::CancellationToken;

use self::error::LONGEST_MINUTES;
pub(crate) use self::error::VoiceError;
use self::opus::{FRAME, OpusWriter, RATE};
use self::sound::Sound;

/// The type that WhatsApp's clients expect.
pub(crate) const MIME: &str = "audio/ogg; codecs=opus";

/// Samples in the longest note.
const LONGEST: u64 = LONGEST_MINUTES as u64 * 60 * RATE as u64;
/// How many bars WhatsApp's clients draw.
const BARS: usize = 64;
/// The height of the highest.
const HIGHEST: f32 = 100.0;

/// What is said of a voice note in its message.
#[derive(Debug)]
pub(crate) struct VoiceNote {
    pub(crate) seconds: u32,
    /// The height of each bar, at most 100.
    pub(crate) waveform: Vec<u8>,
    /// Whether it was written; else the file plays as it is.
    pub(crate) converted: bool,
}

/// Makes a voice note of `file`, written to `note` unless the file is one already. Blocks, and ends early when `cancel` says
/// so.
pub(crate) fn make(
    file: &mut (impl Read + Seek + Send + Sync),
    note: &mut impl Write,
    cancel: &CancellationToken,
) -> Result<VoiceNote, VoiceError> {
    // Decoders meet strangers' files: a fault of theirs is the file's alone.
    catch_unwind(AssertUnwindSafe(|| convert(file, note, cancel)))
        .unwrap_or_else(|_| Err(VoiceError::Unreadable("its decoder failed".to_owned())))
}

fn convert(
    file: &mut (impl Read + Seek + Send + Sync),
    note: &mut impl Write,
    cancel: &CancellationToken,
) -> Result<VoiceNote, VoiceError> {
    let mut sound = Sound::open(file)?;
    let mut writer = if sound.is_voice() { None } else { Some(OpusWriter::begin(note)?) };
    let converted = writer.is_some();
    let (mut samples, mut total, mut levels) = (Vec::new(), 0, Vec::new());
    loop {
        let more = sound.read(&mut samples)?;
        if cancel.is_cancelled() {
            return Err(VoiceError::Cancelled);
        }
        let ready = if more { samples.len() - samples.len() % FRAME } else { samples.len() };
        for frame in samples.get(..ready).unwrap_or_default().chunks(FRAME) {
            total += frame.len() as u64;
            levels.push(level(frame));
            if let Some(writer) = &mut writer {
                writer.write(frame)?;
            }
        }
        samples.drain(..ready);
        if total > LONGEST {
            return Err(VoiceError::TooLong);
        }
        if !more {
            break;
        }
    }
    if total == 0 {
        return Err(VoiceError::Silent);
    }
    if let Some(writer) = writer {
        writer.end(total)?;
    }
    let seconds = (total + u64::from(RATE) / 2) / u64::from(RATE);
    let seconds = u32::try_from(seconds.max(1)).unwrap_or(u32::MAX);
    Ok(VoiceNote { seconds, waveform: waveform(&levels), converted })
}

/// How loud it is.
#[expect(clippy::cast_precision_loss, reason = "a frame is short")]
fn level(frame: &[f32]) -> f32 {
    frame.iter().map(|sample| sample.abs()).sum::<f32>() / frame.len().max(1) as f32
}

/// The loudest is the highest bar.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 100"
)]
fn waveform(levels: &[f32]) -> Vec<u8> {
    let bar = |n: usize| {
        let begin = n * levels.len() / BARS;
        let end = ((n + 1) * levels.len() / BARS).max(begin + 1);
        let part = levels.get(begin..end).unwrap_or_default();
        part.iter().sum::<f32>() / part.len().max(1) as f32
    };
    let bars: Vec<f32> = (0..BARS).map(bar).collect();
    let loudest = bars.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    bars.iter().map(|bar| (bar / loudest * HIGHEST).clamp(0.0, HIGHEST) as u8).collect()
}

#[cfg(test)]
mod tests;
