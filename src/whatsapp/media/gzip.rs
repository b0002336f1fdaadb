//! Undoes a `Content-Encoding`: some servers send every file compressed, asked or not. It streams, so that whoever counts
//! what comes out stops a decompression bomb as well.

use std::io::{Error, ErrorKind, Read, Result};

use zlib_rs::{Inflate, InflateFlush, Status};

const CHUNK: usize = 16 << 10;
/// zlib's own number for "gzip or zlib, whatever the header says".
const EITHER: u8 = 32 + 15;

pub(crate) struct Unpacked<R> {
    packed: R,
    inflate: Inflate,
    chunk: Vec<u8>,
    /// How much of the chunk is done.
    done: usize,
    ended: bool,
}

impl<R: Read> Unpacked<R> {
    pub(crate) fn new(packed: R) -> Self {
        let inflate = Inflate::new(true, EITHER);
        Self { packed, inflate, chunk: Vec::new(), done: 0, ended: false }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, output: &mut [u8]) -> Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        while !self.ended {
            if self.done == self.chunk.len() {
                self.chunk.resize(CHUNK, 0);
                let count = self.packed.read(&mut self.chunk)?;
                self.chunk.truncate(count);
                self.done = 0;
                if count == 0 {
                    return Err(Error::new(
                        ErrorKind::UnexpectedEof,
                        "the compressed file is cut off",
                    ));
                }
            }
            let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
            let input = self.chunk.get(self.done..).unwrap_or_default();
            let status = self.inflate.decompress(input, output, InflateFlush::NoFlush);
            let status =
                status.map_err(|error| Error::new(ErrorKind::InvalidData, error.as_str()))?;
            self.done += usize::try_from(self.inflate.total_in() - taken).unwrap_or(usize::MAX);
            self.ended = status == Status::StreamEnd;
            let given = usize::try_from(self.inflate.total_out() - given).unwrap_or(usize::MAX);
            if given > 0 {
                return Ok(given);
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, compress_bound};

    use super::*;

    /// `gzip` adds 16 to the size of the window.
    fn packed(plain: &[u8], gzip: bool) -> Vec<u8> {
        let mut config = DeflateConfig::default();
        config.window_bits += if gzip { 16 } else { 0 };
        let mut output = vec![0; compress_bound(plain.len()) + 32];
        let mut deflate = Deflate::new_with_config(config);
        deflate.compress(plain, &mut output, DeflateFlush::Finish).unwrap();
        output.truncate(usize::try_from(deflate.total_out()).unwrap());
        output
    }

    fn unpacked(packed: &[u8]) -> Result<Vec<u8>> {
        let mut plain = Vec::new();
        Unpacked::new(packed).read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn a_bomb_gives_no_more_than_is_read() {
        let bomb = packed(&vec![0; 8 << 20], true);
        assert!(bomb.len() < 16 << 10, "{}", bomb.len());
        let mut plain = Vec::new();
        let read = Unpacked::new(bomb.as_slice()).take(1000).read_to_end(&mut plain);
        assert_eq!((read.unwrap(), plain.len()), (1000, 1000));
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out_and_nothing_else(plain: Vec<u8>, gzip: bool, cut: usize) {
            let bytes = packed(&plain, gzip);
            prop_assert_eq!(unpacked(&bytes).unwrap(), plain);
            let cut = bytes.get(..cut % bytes.len()).unwrap();
            prop_assert_eq!(unpacked(cut).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }

        #[test]
        fn nothing_breaks_on_garbage(bytes: Vec<u8>) {
            drop(unpacked(&bytes));
        }
    }
}
