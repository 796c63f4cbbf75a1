//! Mean and maximum of something measured again and again, in two additions a time.

/// What was measured, in the unit of whoever measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spread {
    count: u64,
    sum: u64,
    max: u64,
}

impl Spread {
    /// Takes one measurement.
    pub fn take(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// Takes what another measured in the same unit.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How often was measured.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The mean; `None` before anything was measured.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The largest; `None` before anything was measured.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_measured_has_no_mean_and_two_spreads_add_up() {
        let mut spread = Spread::default();
        assert_eq!((spread.mean(), spread.max()), (None, None));
        let mut other = Spread::default();
        [1, 2].iter().for_each(|value| spread.take(*value));
        [3, 10].iter().for_each(|value| other.take(*value));
        spread.add(&other);
        assert_eq!((spread.count(), spread.mean(), spread.max()), (4, Some(4.0), Some(10)));
    }
}
