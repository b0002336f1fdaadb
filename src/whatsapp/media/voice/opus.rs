//! Writes Opus in an Ogg file (RFC 7845): one channel, in frames of 20 milliseconds.

use std::io::{self, Write};

use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use ropus::{Application, Bitrate, Channels, Encoder};

/// Opus knows no other time, whatever the rate of its source.
pub(super) const RATE: u32 = 48_000;
/// Samples in 20 milliseconds: what is encoded at once.
pub(super) const FRAME: usize = 960;
/// Bits a second: speech is clear, music is bearable.
const BITRATE: u32 = 32_000;
/// Of 10: more takes more time than it gains for speech.
const COMPLEXITY: u8 = 5;
/// No packet of one frame is longer.
const LONGEST_PACKET: usize = 1275;
/// Frames in a page of the file.
const PAGE: u64 = 50;
/// The file has one stream, so any number will do.
const SERIAL: u32 = 1;

pub(super) struct OpusWriter<'a, W: Write> {
    encoder: Encoder,
    pages: PacketWriter<'a, W>,
    /// How many samples a decoder throws away at the beginning.
    skip: u16,
    frames: u64,
    /// Encoded, and written as soon as it is known whether it is the last.
    packet: Option<Vec<u8>>,
}

impl<W: Write> OpusWriter<'_, W> {
    pub(super) fn begin(sink: W) -> io::Result<Self> {
        let encoder = Encoder::builder(RATE, Channels::Mono, Application::Voip)
            .bitrate(Bitrate::Bits(BITRATE))
            .complexity(COMPLEXITY)
            .build()
            .map_err(io::Error::other)?;
        let skip = u16::try_from(encoder.lookahead()).map_err(io::Error::other)?;
        let mut pages = PacketWriter::new(sink);
        // The format is little-endian; version 1, one channel, no gain, no mapping.
        let [high, low] = skip.to_be_bytes();
        let [a, b, c, d] = RATE.to_be_bytes();
        let head = [b"OpusHead\x01\x01".as_slice(), &[low, high, d, c, b, a, 0, 0, 0]].concat();
        pages.write_packet(head, SERIAL, PacketWriteEndInfo::EndPage, 0)?;
        let tags = b"OpusTags\x06\0\0\0moonwa\0\0\0\0".as_slice();
        pages.write_packet(tags, SERIAL, PacketWriteEndInfo::EndPage, 0)?;
        Ok(Self { encoder, pages, skip, frames: 0, packet: None })
    }

    /// Only the last frame may be short.
    pub(super) fn write(&mut self, frame: &[f32]) -> io::Result<()> {
        let mut whole = frame.to_vec();
        whole.resize(FRAME, 0.0);
        let mut packet = vec![0; LONGEST_PACKET];
        let length = self.encoder.encode_float(&whole, &mut packet).map_err(io::Error::other)?;
        packet.truncate(length);
        if let Some(packet) = self.packet.replace(packet) {
            let end = match self.frames % PAGE {
                0 => PacketWriteEndInfo::EndPage,
                _ => PacketWriteEndInfo::NormalPacket,
            };
            self.pages.write_packet(packet, SERIAL, end, self.frames * FRAME as u64)?;
        }
        self.frames += 1;
        Ok(())
    }

    /// Ends a file of `samples`: the last of them are still in the encoder.
    pub(super) fn end(mut self, samples: u64) -> io::Result<()> {
        let total = samples + u64::from(self.skip);
        while self.frames * (FRAME as u64) < total {
            self.write(&[])?;
        }
        let packet = self.packet.take().unwrap_or_default();
        self.pages.write_packet(packet, SERIAL, PacketWriteEndInfo::EndStream, total)?;
        Ok(())
    }
}
