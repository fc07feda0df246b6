//! How much of a share chance may be.

/// How many standard deviations hold 95 % of a normal distribution.
const Z: f64 = 1.96;

/// A share, in percent.
#[must_use]
pub(crate) fn percent(part: u64, of: u64) -> f64 {
    match of {
        0 => 0.0,
        of => 100.0 * part as f64 / of as f64,
    }
}

/// Half the width of the interval that holds the true share in 95 of 100 profiles, in percent
/// points: Wilson's score interval, which is right for small numbers too, and for shares of 0 and
/// of all. Samples are taken to be independent of each other and of what runs.
#[must_use]
pub(crate) fn margin(part: u64, of: u64) -> f64 {
    if of == 0 {
        return 100.0;
    }
    let (n, p) = (of as f64, part.min(of) as f64 / of as f64);
    let square = Z * Z / n;
    100.0 * Z / (1.0 + square) * (p * (1.0 - p) / n + square / (4.0 * n)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_wilsons() {
        let near = |is: f64, should: f64| assert!((is - should).abs() < 0.005, "{is} {should}");
        // Computed by hand from the formula in Wilson's paper: (0.4038, 0.5962).
        near(margin(50, 100), 9.62);
        // (0, 0.0370).
        near(margin(0, 100), 1.85);
        near(margin(100, 100), 1.85);
        near(margin(500, 1000), 3.09);
        near(margin(0, 0), 100.0);
        near(margin(9, 3), margin(3, 3));
        near(percent(1, 3), 33.33);
        near(percent(0, 0), 0.0);
    }

    #[test]
    fn more_samples_have_a_smaller_margin() {
        let margins: Vec<f64> = (1..6)
            .map(|n| margin(3 * 10u64.pow(n), 10u64.pow(n + 1)))
            .collect();
        assert!(margins.is_sorted_by(|a, b| a > b), "{margins:?}");
    }
}
