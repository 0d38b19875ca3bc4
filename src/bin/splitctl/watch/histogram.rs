//! A latency histogram as Prometheus keeps it: counts of responses up to each bound.

use super::verdict::Proportion;

/// A bucket of a histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// Its upper bound, in milliseconds; infinite for the last bucket.
    pub bound: f64,
    /// The responses that took at most that long, those of lower buckets included.
    pub count: f64,
}

/// Buckets in ascending order of their bounds.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Vec<Bucket>);

impl Histogram {
    pub fn new(mut buckets: Vec<Bucket>) -> Self {
        buckets.sort_by(|one, other| one.bound.total_cmp(&other.bound));
        Histogram(buckets)
    }

    fn total(&self) -> f64 {
        self.0.last().map_or(0.0, |bucket| bucket.count)
    }

    /// The bucket that holds a quantile, after the one below it, which is empty for the first.
    fn around(&self, quantile: f64) -> Option<[Bucket; 2]> {
        let rank = self.total() * quantile;
        let at = self.0.iter().position(|bucket| bucket.count >= rank && rank > 0.0)?;
        let below = at.checked_sub(1).and_then(|below| self.0.get(below));
        Some([below.copied().unwrap_or_default(), *self.0.get(at)?])
    }

    /// A quantile in milliseconds, as PromQL's `histogram_quantile` computes it: interpolated within
    /// its bucket, and the highest finite bound if it is beyond that.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let [below, bucket] = self.around(quantile)?;
        if bucket.bound.is_infinite() {
            return Some(below.bound);
        }
        let part = (self.total() * quantile - below.count) / (bucket.count - below.count);
        Some(below.bound + (bucket.bound - below.bound) * part)
    }

    /// The upper bound of the bucket that holds a quantile, if it is finite.
    pub fn bound(&self, quantile: f64) -> Option<f64> {
        self.around(quantile).map(|[_, bucket]| bucket.bound).filter(|bound| bound.is_finite())
    }

    /// The share of responses that took longer than a bound; `None` if no bucket ends there.
    pub fn above(&self, bound: f64) -> Option<Proportion> {
        let bucket = self.0.iter().find(|bucket| bucket.bound == bound)?;
        Some(Proportion { hits: (self.total() - bucket.count).round(), of: self.total().round() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let none = Histogram::default();
        assert!(none.quantile(0.5).is_none() && none.bound(0.5).is_none());
        let buckets = [(f64::INFINITY, 100.0), (10.0, 50.0), (20.0, 90.0), (5.0, 0.0)];
        let buckets = buckets.map(|(bound, count)| Bucket { bound, count });
        let histogram = Histogram::new(buckets.to_vec());
        for (quantile, expected) in [(0.25, 7.5), (0.5, 10.0), (0.9, 20.0), (0.95, 20.0)] {
            assert_eq!(histogram.quantile(quantile), Some(expected), "{quantile}");
        }
        assert_eq!((histogram.bound(0.9), histogram.bound(0.95)), (Some(20.0), None));
        let slow = histogram.above(10.0).unwrap();
        assert_eq!((slow.hits, slow.of), (50.0, 100.0));
        assert!(histogram.above(11.0).is_none());
    }
}
