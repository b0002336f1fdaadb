//! Sound at another rate: each new sample is a sum of the old ones around it, weighted by a sinc in a Kaiser window, which
//! leaves out what the new rate cannot carry.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "small numbers: rates, and places within a table"
)]

use std::f64::consts::PI;

/// How many zeros of the sinc are within the window, on each side.
const ZEROS: f64 = 16.0;
/// How steep the filter is: its stopband is 80 dB down.
const BETA: f64 = 8.0;
/// How much of the lower rate's band is kept.
const BAND: f64 = 0.94;
/// In how many steps the space between two old samples is divided; between them the weights are interpolated.
const STEPS: usize = 256;

pub(super) struct Resampler {
    from: u64,
    to: u64,
    /// How many old samples are before and after a new one.
    reach: usize,
    /// The weights of the old samples, one row for each step and one more.
    rows: Vec<Vec<f32>>,
    /// Old samples from the first one still needed.
    old: Vec<f32>,
    /// Where the next new sample is, in `to`ths of an old one.
    at: u64,
}

impl Resampler {
    pub(super) fn new(from: u32, to: u32) -> Self {
        let cutoff = BAND * (f64::from(to) / f64::from(from)).min(1.0);
        let reach = (ZEROS / cutoff).ceil();
        let row = |step: usize| {
            let fraction = step as f64 / STEPS as f64;
            (0..2 * reach as usize)
                .map(|n| {
                    let distance = n as f64 - (reach - 1.0) - fraction;
                    (cutoff * sinc(cutoff * distance) * kaiser(distance / reach)) as f32
                })
                .collect()
        };
        let rows = (0..=STEPS).map(row).collect();
        let reach = reach as usize;
        let old = vec![0.0; reach - 1];
        Self { from: from.into(), to: to.into(), reach, rows, old, at: 0 }
    }

    pub(super) fn push(&mut self, samples: &[f32], new: &mut Vec<f32>) {
        self.old.extend_from_slice(samples);
        loop {
            let first = (self.at / self.to) as usize;
            let Some(around) = self.old.get(first..first + 2 * self.reach) else { break };
            let step = (self.at % self.to) as f64 / self.to as f64 * STEPS as f64;
            let between = step.fract() as f32;
            let rows = self.rows.get(step as usize).zip(self.rows.get(step as usize + 1));
            let Some((row, next)) = rows else { break };
            let weighted = around.iter().zip(row.iter().zip(next));
            new.push(weighted.map(|(old, (a, b))| old * (a + (b - a) * between)).sum());
            self.at += self.from;
        }
        let done = ((self.at / self.to) as usize).min(self.old.len());
        self.old.drain(..done);
        self.at -= done as u64 * self.to;
    }

    /// The last new samples, around which there is silence.
    pub(super) fn end(&mut self, new: &mut Vec<f32>) {
        self.push(&vec![0.0; self.reach], new);
    }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

fn kaiser(x: f64) -> f64 {
    bessel(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel(BETA)
}

/// The modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let term = |sum: (f64, f64), n: u32| {
        let last = sum.1 * (x / (2.0 * f64::from(n))).powi(2);
        (sum.0 + last, last)
    };
    (1..32).fold((1.0, 1.0), term).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, hertz: f64) -> Vec<f32> {
        (0..rate)
            .map(|n| (2.0 * PI * hertz * f64::from(n) / f64::from(rate)).sin() as f32)
            .collect()
    }

    fn resampled(from: u32, to: u32, samples: &[f32]) -> Vec<f32> {
        let (mut resampler, mut new) = (Resampler::new(from, to), Vec::new());
        for piece in samples.chunks(1152) {
            resampler.push(piece, &mut new);
        }
        resampler.end(&mut new);
        new
    }

    fn decibels(ratio: f64) -> f64 {
        10.0 * ratio.log10()
    }

    fn power(samples: &[f32]) -> f64 {
        samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64
    }

    #[test]
    fn a_sine_stays_what_it_is() {
        for from in [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000] {
            let new = resampled(from, 48_000, &sine(from, 1_000.0));
            assert!(new.len().abs_diff(48_000) <= 1, "{from}: {} samples", new.len());
            let ideal = sine(48_000, 1_000.0);
            // At its ends the sine begins out of nothing.
            let (new, ideal) = (&new[4_000..44_000], &ideal[4_000..44_000]);
            let error: Vec<f32> = new.iter().zip(ideal).map(|(a, b)| a - b).collect();
            let clean = decibels(power(ideal) / power(&error));
            assert!(clean > 60.0, "{from}: {clean} dB");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_carry_is_gone() {
        let new = resampled(96_000, 48_000, &sine(96_000, 30_000.0));
        let left = decibels(power(&new[4_000..44_000]) / 0.5);
        assert!(left < -70.0, "{left} dB");
    }
}
