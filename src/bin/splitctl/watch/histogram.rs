//! A latency histogram as Prometheus keeps it: how many were at most so many milliseconds.

use super::verdict::Share;

/// Upper bounds in ascending order, the last one infinite, with the counts up to each.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Vec<(f64, f64)>);

impl Histogram {
    pub fn new(mut buckets: Vec<(f64, f64)>) -> Self {
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Histogram(buckets)
    }

    fn total(&self) -> f64 {
        self.0.last().map_or(0.0, |(_, count)| *count)
    }

    /// The bucket that holds a quantile: its bounds and the counts up to them.
    fn bucket(&self, quantile: f64) -> Option<[(f64, f64); 2]> {
        let rank = self.total() * quantile;
        let at = self.0.iter().position(|(_, count)| *count >= rank && rank > 0.0)?;
        let below = at.checked_sub(1).and_then(|below| self.0.get(below));
        Some([*below.unwrap_or(&(0.0, 0.0)), *self.0.get(at)?])
    }

    /// In milliseconds, as PromQL's `histogram_quantile` has it: on a line through its bucket, and
    /// beyond the last finite bound, that bound.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let [(low, below), (high, up_to)] = self.bucket(quantile)?;
        if high.is_infinite() {
            return Some(low);
        }
        let part = (self.total() * quantile - below) / (up_to - below);
        Some(low + (high - low) * part)
    }

    /// The upper bound of the bucket that holds a quantile, if it is finite.
    pub fn bound(&self, quantile: f64) -> Option<f64> {
        self.bucket(quantile).map(|[_, (high, _)]| high).filter(|high| high.is_finite())
    }

    /// How many were longer than a bound; none if no bucket ends there.
    pub fn above(&self, bound: f64) -> Option<Share> {
        let (_, up_to) = self.0.iter().find(|(high, _)| *high == bound)?;
        Some(Share { hits: (self.total() - up_to).round(), of: self.total().round() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let none = Histogram::default();
        assert!(none.quantile(0.5).is_none() && none.bound(0.5).is_none());
        let histogram =
            Histogram::new(vec![(f64::INFINITY, 100.0), (10.0, 50.0), (20.0, 90.0), (5.0, 0.0)]);
        for (quantile, expected) in [(0.25, 7.5), (0.5, 10.0), (0.9, 20.0), (0.95, 20.0)] {
            assert_eq!(histogram.quantile(quantile), Some(expected), "{quantile}");
        }
        assert_eq!((histogram.bound(0.9), histogram.bound(0.95)), (Some(20.0), None));
        let slow = histogram.above(10.0).unwrap();
        assert_eq!((slow.hits, slow.of), (50.0, 100.0));
        assert!(histogram.above(11.0).is_none());
    }
}
