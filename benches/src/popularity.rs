//! What production traffic looks like: how large blobs are and how unevenly they are asked for.
//!
//! The sizes follow the traces of five data centres over 75 days (Anwar et al., FAST '18): 65 % of layers below 1 MB, 80 % below 10 MB.
//! Between those marks nothing is known, so sizes are spread evenly over the orders of magnitude. The same study found a strong skew in what is asked
//! for: here Zipf's law.

use crate::content::Noise;

/// The smallest blob, in bytes.
const SMALLEST: f64 = 1e3;
/// The largest blob, in bytes: beyond it a run would measure little else.
const LARGEST: f64 = 64e6;

/// A blob's size in bytes, drawn from the traces' distribution.
#[expect(clippy::cast_sign_loss, reason = "sizes are positive")]
pub fn size(noise: &mut Noise) -> usize {
    let (low, high) = match noise.share() {
        share if share < 0.65 => (SMALLEST, 1e6),
        share if share < 0.80 => (1e6, 10e6),
        _ => (10e6, LARGEST),
    };
    (low * (high / low).powf(noise.share())) as usize
}

/// Draws numbers below a count, the lower the more often: number n in proportion to 1 / (n + 1) ^ exponent.
#[derive(Debug, Clone)]
pub struct Zipf {
    /// The share of all draws that fall on a number or one below it.
    upto: Vec<f64>,
}

impl Zipf {
    /// Over `count` numbers. An exponent of 0 is the even distribution; 0.9 to 1 is what caches meet.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    pub fn new(count: usize, exponent: f64) -> Zipf {
        let mut upto: Vec<f64> = (1..=count)
            .scan(0.0, |sum, rank| {
                *sum += (rank as f64).powf(-exponent);
                Some(*sum)
            })
            .collect();
        let sum = upto.last().copied().unwrap_or(1.0);
        for share in &mut upto {
            *share /= sum;
        }
        Zipf { upto }
    }

    /// A number below the count (0 if the count is 0).
    pub fn draw(&self, noise: &mut Noise) -> usize {
        let share = noise.share();
        self.upto.partition_point(|&upto| upto <= share).min(self.upto.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_traces() {
        let mut noise = Noise::new(3);
        let sizes: Vec<usize> = (0..100_000).map(|_| size(&mut noise)).collect();
        let below = |limit: usize| sizes.iter().filter(|&&size| size < limit).count();
        assert!((64_000..66_000).contains(&below(1_000_000)), "{}", below(1_000_000));
        assert!((79_000..81_000).contains(&below(10_000_000)), "{}", below(10_000_000));
        assert!(sizes.iter().all(|size| (1_000..=64_000_000).contains(size)));
        // Spread over the orders of magnitude: a third of the small ones in each.
        let (tiny, small) = (below(10_000), below(100_000) - below(10_000));
        assert!((20_000..23_500).contains(&tiny) && (20_000..23_500).contains(&small), "{tiny} {small}");
    }

    #[test]
    fn the_first_is_asked_for_twice_as_often_as_the_second() {
        let (zipf, mut noise) = (Zipf::new(1000, 1.0), Noise::new(5));
        let mut drawn = vec![0_u32; 1000];
        (0..200_000).for_each(|_| drawn[zipf.draw(&mut noise)] += 1);
        // The harmonic number of 1000 is 7.485.
        for (number, share) in [(0, 1.0 / 7.485), (1, 0.5 / 7.485), (9, 0.1 / 7.485)] {
            let found = f64::from(drawn[number]) / 200_000.0;
            assert!((found / share - 1.0).abs() < 0.06, "{number}: {found} instead of {share}");
        }
    }

    #[test]
    fn no_skew_is_even_and_nothing_to_draw_is_zero() {
        let (zipf, mut noise) = (Zipf::new(4, 0.0), Noise::new(6));
        let mut drawn = [0_u32; 4];
        (0..40_000).for_each(|_| drawn[zipf.draw(&mut noise)] += 1);
        assert!(drawn.iter().all(|&count| (9_500..10_500).contains(&count)), "{drawn:?}");
        assert_eq!(Zipf::new(0, 1.0).draw(&mut noise), 0);
    }
}
