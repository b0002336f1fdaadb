use std::io::{self, Cursor};

use proptest::prelude::*;

use super::*;

const TONES: [(&str, &[u8]); 6] = [
    ("mp3", include_bytes!("../../../../tests/it/fleet/sounds/tone.mp3")),
    ("m4a", include_bytes!("../../../../tests/it/fleet/sounds/tone.m4a")),
    ("wav", include_bytes!("../../../../tests/it/fleet/sounds/tone.wav")),
    ("ogg", include_bytes!("../../../../tests/it/fleet/sounds/tone.ogg")),
    ("stereo", include_bytes!("../../../../tests/it/fleet/sounds/stereo.opus")),
    ("mono", include_bytes!("../../../../tests/it/fleet/sounds/mono.opus")),
];

fn note_of(file: &[u8]) -> (Result<VoiceNote, VoiceError>, Vec<u8>) {
    let mut note = Vec::new();
    let made = make(&mut Cursor::new(file), &mut note, &CancellationToken::new());
    (made, note)
}

/// 2 seconds of 440 Hz, of which the first is loud.
fn is_the_tone(kind: &str, note: &VoiceNote) {
    assert_eq!(note.seconds, 2, "{kind}");
    assert_eq!(note.waveform.len(), BARS, "{kind}");
    let (loud, quiet) = (note.waveform[16], note.waveform[48]);
    // They are 4.5 to 1; the highest bar may be where an encoder begins.
    assert!(loud >= 70 && (4 * quiet..=5 * quiet).contains(&loud), "{kind}: {loud} {quiet}");
}

#[test]
fn every_kind_of_sound_becomes_a_voice_note() {
    for (kind, file) in TONES {
        let (made, written) = note_of(file);
        let made = made.unwrap();
        is_the_tone(kind, &made);
        assert_eq!(made.converted, kind != "mono");
        assert_eq!(written.is_empty(), kind == "mono");
        if made.converted {
            let (again, nothing) = note_of(&written);
            let again = again.unwrap();
            is_the_tone(kind, &again);
            assert!(!again.converted && nothing.is_empty(), "{kind}: it is one now");
        }
    }
}

#[test]
fn what_is_no_sound_is_refused() {
    for file in [b"".as_slice(), b"<html></html>", b"OggS", b"\xff\xfb\x90\x00"] {
        let (made, _) = note_of(file);
        assert!(matches!(made, Err(VoiceError::Unreadable(_) | VoiceError::Silent)), "{made:?}");
    }
}

#[test]
fn nobody_waits_for_a_cancelled_note() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let made = make(&mut Cursor::new(TONES[0].1), &mut Vec::new(), &cancel);
    assert!(matches!(made, Err(VoiceError::Cancelled)), "{made:?}");
}

/// A WAV of that many samples, all of them silent.
struct Silence {
    head: Vec<u8>,
    length: u64,
    at: u64,
}

impl Silence {
    fn new(rate: u32, samples: u32) -> Self {
        // The format is little-endian.
        let number = |n: u32| n.to_be_bytes().into_iter().rev().collect::<Vec<u8>>();
        let head = [
            b"RIFF".to_vec(),
            number(36 + samples),
            b"WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec(),
            number(rate),
            number(rate),
            b"\x01\0\x08\0data".to_vec(),
            number(samples),
        ]
        .concat();
        Self { length: head.len() as u64 + u64::from(samples), head, at: 0 }
    }
}

impl Read for Silence {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = usize::try_from(self.at).unwrap();
        let left = usize::try_from(self.length - self.at.min(self.length)).unwrap();
        let count = buffer.len().min(left);
        for (n, byte) in buffer[..count].iter_mut().enumerate() {
            *byte = self.head.get(at + n).copied().unwrap_or(128);
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Silence {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.at = match to {
            io::SeekFrom::Start(at) => at,
            io::SeekFrom::End(by) => self.length.saturating_add_signed(by),
            io::SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

#[test]
fn silence_has_no_bars_and_a_length() {
    let (mut wav, mut note) = (Silence::new(8_000, 4_000), Vec::new());
    let made = make(&mut wav, &mut note, &CancellationToken::new()).unwrap();
    assert_eq!((made.seconds, made.waveform), (1, vec![0; BARS]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_is_refused_or_played(
        kind in 0..TONES.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
        front in any::<bool>(),
    ) {
        let mut file = TONES[kind].1.to_vec();
        for (at, byte) in changes {
            // Most that can go wrong is in the headers.
            let end = if front { 400 } else { file.len() };
            let at = at.index(end);
            file[at] = byte;
        }
        if front {
            file.truncate(cut.index(file.len()).max(1));
        }
        let mut note = Vec::new();
        if let Ok(made) = convert(&mut Cursor::new(file), &mut note, &CancellationToken::new()) {
            prop_assert_eq!(made.waveform.len(), BARS);
        }
    }
}
