//! What many answers come to.

use serde_json::{Value, json};

/// How often something was so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    so: u32,
    of: u32,
}

impl Share {
    pub(crate) fn count(so: impl IntoIterator<Item = bool>) -> Share {
        so.into_iter().fold(Share::default(), |share, so| Share {
            so: share.so + u32::from(so),
            of: share.of + 1,
        })
    }

    /// None of none.
    pub(crate) fn value(self) -> Option<f64> {
        (self.of > 0).then(|| f64::from(self.so) / f64::from(self.of))
    }

    /// Wilson's interval of 95 %.
    pub(crate) fn interval(self) -> Option<[f64; 2]> {
        const Z: f64 = 1.96;
        let (share, of) = (self.value()?, f64::from(self.of));
        let middle = share + Z * Z / (2.0 * of);
        let half = Z * (share * (1.0 - share) / of + Z * Z / (4.0 * of * of)).sqrt();
        let all = 1.0 + Z * Z / of;
        Some([(middle - half) / all, (middle + half) / all])
    }

    pub(crate) fn text(self) -> String {
        match (self.value(), self.interval()) {
            (Some(share), Some([low, high])) => {
                let per_cent = [share, low, high].map(|share| 100.0 * share);
                format!("{:3.0} % ({:.0}–{:.0})", per_cent[0], per_cent[1], per_cent[2])
            }
            _ => "—".into(),
        }
    }
}

/// The mean, its 95 % interval by the standard error, and how many. Null for none.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The 95 % interval of a mean by its standard error.
pub(crate) fn mean_interval(values: &[f64]) -> Value {
    let Some(mean) = mean(values).filter(|_| values.len() > 1) else {
        return Value::Null;
    };
    let count = values.len() as f64;
    let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let half = 1.96 * (spread / count).sqrt();
    json!([mean - half, mean + half])
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The expected calibration error over ten equal bins (Guo et al., arXiv 1706.04599) of what was claimed and whether it was so.
pub(crate) fn calibration_error(claims: &[(f64, bool)]) -> Option<f64> {
    let bin = |claim: f64| ((claim * 10.0) as usize).min(9);
    let gap = |at: usize| -> f64 {
        let own: Vec<_> = claims.iter().filter(|(claim, _)| bin(*claim) == at).collect();
        let claimed: f64 = own.iter().map(|(claim, _)| claim).sum();
        let right = own.iter().filter(|(_, right)| *right).count() as f64;
        (claimed - right).abs()
    };
    (!claims.is_empty()).then(|| (0..10).map(gap).sum::<f64>() / claims.len() as f64)
}

/// Spearman's rank correlation; equal values share their ranks. None where there is nothing to compare.
pub(crate) fn rank_correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let ranks = |values: Vec<f64>| -> Vec<f64> {
        let rank = |value: &f64| {
            let below = values.iter().filter(|other| *other < value).count() as f64;
            let equal = values.iter().filter(|other| *other == value).count() as f64;
            below + (equal - 1.0) / 2.0
        };
        values.iter().map(rank).collect()
    };
    let one = ranks(pairs.iter().map(|pair| pair.0).collect());
    let other = ranks(pairs.iter().map(|pair| pair.1).collect());
    let (middle, other_middle) = (mean(&one)?, mean(&other)?);
    let product =
        |a: &[f64], am: f64, b: &[f64], bm: f64| -> f64 { a.iter().zip(b).map(|(a, b)| (a - am) * (b - bm)).sum() };
    let both = product(&one, middle, &other, other_middle);
    let all = (product(&one, middle, &one, middle) * product(&other, other_middle, &other, other_middle)).sqrt();
    (all > 0.0).then(|| both / all)
}

/// How much of two boxes (left, top, right, bottom) is common to them, of all that either covers.
pub(crate) fn overlap(one: [f32; 4], other: [f32; 4]) -> f64 {
    let area = |edges: [f32; 4]| f64::from((edges[2] - edges[0]).max(0.0)) * f64::from((edges[3] - edges[1]).max(0.0));
    let common = area([
        one[0].max(other[0]),
        one[1].max(other[1]),
        one[2].min(other[2]),
        one[3].min(other[3]),
    ]);
    let all = area(one) + area(other) - common;
    if all > 0.0 { common / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_known_answers() {
        let share = Share::count([true, true, true, false]);
        assert_eq!(share.value(), Some(0.75));
        let [low, high] = share.interval().expect("of four");
        assert!(
            (low - 0.3006).abs() < 1e-3 && (high - 0.9544).abs() < 1e-3,
            "{low} {high}"
        );
        assert_eq!(rank_correlation(&[(1.0, 2.0), (2.0, 3.0), (3.0, 9.0)]), Some(1.0));
        assert_eq!(rank_correlation(&[(1.0, 9.0), (2.0, 3.0), (3.0, 2.0)]), Some(-1.0));
        assert_eq!(rank_correlation(&[(1.0, 1.0), (2.0, 1.0)]), None);
        let claims = [(0.95, true), (0.95, true), (0.55, false), (0.55, true)];
        let error = calibration_error(&claims).expect("of four");
        assert!((error - (0.1 + 0.1) / 4.0).abs() < 1e-9, "{error}");
        assert!((overlap([0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 1.5, 1.0]) - 1.0 / 3.0).abs() < 1e-6);
    }
}
