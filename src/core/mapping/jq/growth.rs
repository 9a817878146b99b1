//! How something grows with a record: a polynomial in its values and its bytes.

/// The highest tracked power of the number of values.
const VALUES_POWER_MAX: usize = 3;
/// The highest tracked power of the bytes.
const BYTES_POWER_MAX: usize = 2;

/// At most the sum of `factor · values^i · bytes^j`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growth {
    factors: [[u64; BYTES_POWER_MAX + 1]; VALUES_POWER_MAX + 1],
    /// It grows with a higher power than is tracked.
    is_beyond: bool,
}

impl Growth {
    pub(super) const ZERO: Self = Self { factors: [[0; BYTES_POWER_MAX + 1]; VALUES_POWER_MAX + 1], is_beyond: false };
    pub(super) const ONE: Self = Self::monomial(0, 0);
    pub(super) const VALUES: Self = Self::monomial(1, 0);
    pub(super) const BYTES: Self = Self::monomial(0, 1);

    const fn monomial(of_values: usize, of_bytes: usize) -> Self {
        let mut growth = Self::ZERO;
        growth.factors[of_values][of_bytes] = 1;
        growth
    }

    /// A growth that is the same for every record.
    pub(super) const fn constant(factor: u64) -> Self {
        let mut growth = Self::ZERO;
        growth.factors[0][0] = factor;
        growth
    }

    pub(super) fn plus(mut self, other: Self) -> Self {
        for (row, others) in self.factors.iter_mut().zip(other.factors) {
            for (factor, other) in row.iter_mut().zip(others) {
                *factor = factor.saturating_add(other);
            }
        }
        self.is_beyond |= other.is_beyond;
        self
    }

    pub(super) fn times(self, other: Self) -> Self {
        let mut product = Self { is_beyond: self.is_beyond || other.is_beyond, ..Self::ZERO };
        for (i, j, factor) in self.terms() {
            for (k, l, other) in other.terms() {
                match product.factors.get_mut(i + k).and_then(|row| row.get_mut(j + l)) {
                    Some(sum) => *sum = sum.saturating_add(factor.saturating_mul(other)),
                    None => product.is_beyond = true,
                }
            }
        }
        product
    }

    pub(super) fn by(self, factor: u64) -> Self {
        let mut product = self;
        product.factors.iter_mut().flatten().for_each(|each| *each = each.saturating_mul(factor));
        product
    }

    /// For this many values and bytes.
    pub(super) fn at(&self, values: u64, bytes: u64) -> u64 {
        if self.is_beyond {
            return u64::MAX;
        }
        let power = |base: u64, exponent: usize| (0..exponent).fold(1_u64, |product, _| product.saturating_mul(base));
        self.terms().fold(0, |sum: u64, (i, j, factor)| {
            sum.saturating_add(factor.saturating_mul(power(values, i)).saturating_mul(power(bytes, j)))
        })
    }

    fn terms(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        let rows = self.factors.into_iter().enumerate();
        rows.flat_map(|(i, row)| row.into_iter().enumerate().map(move |(j, factor)| (i, j, factor)))
            .filter(|(_, _, factor)| *factor > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growth_is_a_polynomial_that_never_wraps() {
        let lists = Growth::VALUES.times(Growth::VALUES).by(3).plus(Growth::BYTES).plus(Growth::ONE);
        assert_eq!(lists.at(10, 100), 3 * 100 + 100 + 1);
        let text = lists.times(Growth::BYTES);
        assert_eq!(text.at(10, 100), 401 * 100);
        assert_eq!(text.at(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(lists.times(lists).at(1, 1), u64::MAX, "the fourth power is not tracked");
        assert_eq!(Growth::ZERO.times(lists), Growth::ZERO);
    }
}
