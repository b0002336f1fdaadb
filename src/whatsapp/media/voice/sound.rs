//! Reads the sound of a file as one channel of 48 kHz.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::RangeInclusive;

use ropus::{Channels, DecodeMode};
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::FORMAT_ID_OGG;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::default::{get_codecs, get_probe};

use super::error::VoiceError;
use super::opus::RATE;
use super::resample::Resampler;

/// Samples in the longest packet of Opus, which has 120 milliseconds.
const LONGEST_PACKET: usize = 5760;
/// What people's files have. Others would make a filter of any size.
const RATES: RangeInclusive<u32> = 4_000..=384_000;
/// A damaged file may lack some packets; with more it is none that anybody wants to hear.
const MOST_BROKEN: u32 = 100;

pub(super) struct Sound<'a> {
    format: Box<dyn FormatReader + 'a>,
    track: u32,
    decoder: Decoder,
    resampler: Option<(u32, Resampler)>,
    broken: u32,
    voice: bool,
}

enum Decoder {
    /// It mixes two channels itself.
    Opus(Box<ropus::Decoder>),
    Other(Box<dyn AudioDecoder>),
}

impl<'a> Sound<'a> {
    pub(super) fn open<F>(file: &'a mut F) -> Result<Self, VoiceError>
    where
        F: Read + Seek + Send + Sync,
    {
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let options = MediaSourceStreamOptions::default();
        let stream = MediaSourceStream::new(Box::new(Source { file, length }), options);
        let format = get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(fault)?;
        let track = format.first_track_known_codec(TrackType::Audio).ok_or(VoiceError::Silent)?;
        let Some(CodecParameters::Audio(params)) = &track.codec_params else {
            return Err(VoiceError::Silent);
        };
        let (track, decoder) = (track.id, Decoder::of(params)?);
        let mono = params.channels.as_ref().is_some_and(|channels| channels.count() == 1);
        let opus = matches!(decoder, Decoder::Opus(_));
        let voice = opus && mono && format.format_info().format == FORMAT_ID_OGG;
        Ok(Self { format, track, decoder, resampler: None, broken: 0, voice })
    }

    /// Whether it is a voice note already.
    pub(super) fn is_voice(&self) -> bool {
        self.voice
    }

    /// Adds the next piece to `samples`; false after the last one.
    pub(super) fn read(&mut self, samples: &mut Vec<f32>) -> Result<bool, VoiceError> {
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) | Err(Error::ResetRequired) => return Ok(self.end(samples)),
            // It was cut off: what there is, is played.
            Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                return Ok(self.end(samples));
            }
            Err(error) => return Err(fault(error)),
        };
        if packet.track_id != self.track {
            return Ok(true);
        }
        match self.decoder.decode(&packet) {
            Ok((rate, mono)) => self.add(rate, &mono, samples)?,
            Err(error) => {
                self.broken += 1;
                if self.broken > MOST_BROKEN {
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    fn add(&mut self, rate: u32, mono: &[f32], samples: &mut Vec<f32>) -> Result<(), VoiceError> {
        if !RATES.contains(&rate) {
            return Err(VoiceError::Unreadable(format!("it has {rate} samples a second")));
        }
        if self.resampler.as_ref().is_some_and(|(from, _)| *from != rate) {
            self.end(samples);
        }
        if rate == RATE {
            samples.extend_from_slice(mono);
        } else {
            let make = || (rate, Resampler::new(rate, RATE));
            self.resampler.get_or_insert_with(make).1.push(mono, samples);
        }
        Ok(())
    }

    fn end(&mut self, samples: &mut Vec<f32>) -> bool {
        if let Some((_, mut resampler)) = self.resampler.take() {
            resampler.end(samples);
        }
        false
    }
}

impl Decoder {
    fn of(params: &AudioCodecParameters) -> Result<Self, VoiceError> {
        if params.codec == CODEC_ID_OPUS {
            if params.channels.as_ref().is_none_or(|channels| channels.count() > 2) {
                return Err(VoiceError::Unreadable("it has more than two channels".to_owned()));
            }
            let decoder =
                ropus::Decoder::new(RATE, Channels::Mono).map_err(|error| unreadable(&error))?;
            return Ok(Self::Opus(Box::new(decoder)));
        }
        let decoder = get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default());
        decoder.map(Self::Other).map_err(fault)
    }

    /// The packet's rate, and its samples in one channel.
    fn decode(&mut self, packet: &Packet) -> Result<(u32, Vec<f32>), VoiceError> {
        match self {
            Self::Opus(decoder) => {
                let mut mono = vec![0.0; LONGEST_PACKET];
                let decoded = decoder.decode_float(&packet.data, &mut mono, DecodeMode::Normal);
                mono.truncate(decoded.map_err(|error| unreadable(&error))?);
                let trimmed = |duration: u64| usize::try_from(duration).unwrap_or(usize::MAX);
                mono.truncate(mono.len().saturating_sub(trimmed(packet.trim_end.get())));
                mono.drain(..trimmed(packet.trim_start.get()).min(mono.len()));
                Ok((RATE, mono))
            }
            Self::Other(decoder) => {
                let decoded = decoder.decode(packet).map_err(fault)?;
                let mut channels: Vec<Vec<f32>> = Vec::new();
                decoded.copy_to_vecs_planar(&mut channels);
                Ok((decoded.spec().rate(), mix(channels)))
            }
        }
    }
}

/// One channel of many, as loud as they are on average.
#[expect(clippy::cast_precision_loss, reason = "a file has few channels")]
fn mix(mut channels: Vec<Vec<f32>>) -> Vec<f32> {
    let share = 1.0 / channels.len().max(1) as f32;
    let Some((mixed, others)) = channels.split_first_mut() else { return Vec::new() };
    for other in others {
        mixed.iter_mut().zip(other).for_each(|(sum, sample)| *sum += *sample);
    }
    for sample in mixed.iter_mut() {
        *sample *= share;
    }
    std::mem::take(mixed)
}

/// An error of the disk may pass, one of the file does not.
fn fault(error: Error) -> VoiceError {
    match error {
        Error::IoError(error) if error.raw_os_error().is_some() => VoiceError::Disk(error),
        error => unreadable(&error),
    }
}

fn unreadable(error: &dyn ToString) -> VoiceError {
    VoiceError::Unreadable(error.to_string())
}

/// A file as the decoders' library wants it.
struct Source<'a, F> {
    file: &'a mut F,
    length: u64,
}

impl<F: Read> Read for Source<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl<F: Seek> Seek for Source<'_, F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl<F: Read + Seek + Send + Sync> MediaSource for Source<'_, F> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}
