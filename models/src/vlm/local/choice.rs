//! Which token comes next, and how clearly it stood out.

/// How tokens are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// Always the likeliest.
    Greedy,
    /// By chance among the likeliest that together have `top_p` (Holtzman et al., arXiv 1904.09751).
    Nucleus {
        /// Above 1 evens the chances out, below 1 sharpens them; 0 is [`Sampling::Greedy`].
        temperature: f32,
        /// 0..1.
        top_p: f32,
        /// The same seed makes the same choices.
        seed: u64,
    },
}

/// The rivals that a token is compared with.
const RIVALS: usize = 32;
/// Among rivals that are all alike, differences below this count as none.
const EVEN: f32 = 1e-3;

/// Chooses the next token of an answer.
pub(super) struct Chooser {
    sampling: Sampling,
    random: fastrand::Rng,
}

/// One choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) token: i64,
    /// The logarithm of its probability.
    pub(super) log_probability: f32,
    /// As [`separability`] has it.
    pub(super) separability: f32,
}

impl Chooser {
    pub(super) fn new(sampling: Sampling) -> Chooser {
        let seed = match sampling {
            Sampling::Nucleus { seed, .. } => seed,
            Sampling::Greedy => 0,
        };
        Chooser {
            sampling,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// `logits` are finite and at least one.
    pub(super) fn choose(&mut self, logits: &[f32]) -> Choice {
        let token = match self.sampling {
            Sampling::Nucleus { temperature, top_p, .. } if temperature > 0.0 => self.draw(logits, temperature, top_p),
            _ => likeliest(logits),
        };
        Choice {
            token: token as i64,
            log_probability: logits[token] - log_sum(logits),
            separability: separability(logits),
        }
    }

    fn draw(&mut self, logits: &[f32], temperature: f32, top_p: f32) -> usize {
        let top = logits[likeliest(logits)];
        let mut weights: Vec<(usize, f32)> = logits
            .iter()
            .map(|logit| ((logit - top) / temperature).exp())
            .enumerate()
            .collect();
        // By index where weights are equal: the same seed means the same answer.
        weights.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let all: f32 = weights.iter().map(|(_, weight)| weight).sum();
        let mut mass = 0.0;
        let kept = weights.iter().position(|(_, weight)| {
            mass += weight;
            mass >= top_p * all
        });
        weights.truncate(kept.map_or(weights.len(), |last| last + 1));
        let mut at = self.random.f32() * weights.iter().map(|(_, weight)| weight).sum::<f32>();
        for (token, weight) in &weights {
            at -= weight;
            if at <= 0.0 {
                return *token;
            }
        }
        weights[0].0
    }
}

/// The first of the highest.
fn likeliest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best
}

fn log_sum(logits: &[f32]) -> f32 {
    let top = logits[likeliest(logits)];
    top + logits.iter().map(|logit| (logit - top).exp()).sum::<f32>().ln()
}

/// How far the best token stands out from its rivals: its logit less the mean of the next 32, in their standard deviations. It does
/// not change when all logits are moved or scaled together, as probabilities do, and so tells doubt from a model's general
/// boldness (after SpecEyes, arXiv 2603.23483).
fn separability(logits: &[f32]) -> f32 {
    let mut sorted = logits.to_vec();
    let count = sorted.len().min(RIVALS + 1);
    if count < 2 {
        return 0.0;
    }
    sorted.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    sorted.truncate(count);
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let rivals = &sorted[1..];
    let mean = rivals.iter().sum::<f32>() / rivals.len() as f32;
    let spread = (rivals.iter().map(|logit| (logit - mean).powi(2)).sum::<f32>() / rivals.len() as f32).sqrt();
    (sorted[0] - mean) / (spread + EVEN)
}

/// An answer's separability: the mean over the quarter of its tokens that stood out least, one at least. An answer is as doubtful
/// as the words that decide it, and most words of a sentence decide nothing.
pub(super) fn of_answer(tokens: &[f32]) -> Option<f32> {
    let mut sorted = tokens.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted.truncate(tokens.len().div_ceil(4));
    (!sorted.is_empty()).then(|| sorted.iter().sum::<f32>() / sorted.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logits(seed: u64, count: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| random.f32() * 8.0 - 4.0).collect()
    }

    #[test]
    fn a_nucleus_of_nothing_or_no_temperature_is_greedy() {
        for seed in 0..50 {
            let logits = logits(seed, 40);
            let greedy = Chooser::new(Sampling::Greedy).choose(&logits);
            for (temperature, top_p) in [(0.0, 1.0), (1.0, 0.0), (5.0, 1e-9), (f32::NAN, 0.9)] {
                let sampling = Sampling::Nucleus {
                    temperature,
                    top_p,
                    seed,
                };
                assert_eq!(Chooser::new(sampling).choose(&logits), greedy, "seed {seed}");
            }
        }
    }

    #[test]
    fn tokens_come_as_often_as_they_are_likely_and_none_from_outside_the_nucleus() {
        let logits = [2.0f32, 1.0, 0.0, -1.0];
        let all: f32 = logits.iter().map(|logit| (logit / 0.8).exp()).sum();
        let chances = logits.map(|logit| (logit / 0.8).exp() / all);
        let sampling = Sampling::Nucleus {
            temperature: 0.8,
            top_p: 0.9,
            seed: 3,
        };
        let mut chooser = Chooser::new(sampling);
        let mut counts = [0u32; 4];
        for _ in 0..20_000 {
            counts[chooser.choose(&logits).token as usize] += 1;
        }
        let kept = chances[0] + chances[1];
        assert!(chances[0] < 0.9 && kept >= 0.9, "two are the nucleus: {chances:?}");
        assert_eq!(counts[2..], [0, 0]);
        let share = counts[0] as f32 / 20_000.0;
        assert!((share - chances[0] / kept).abs() < 0.02, "{share}");
    }

    #[test]
    fn the_same_seed_makes_the_same_choices() {
        let draw = |seed| -> Vec<i64> {
            let sampling = Sampling::Nucleus {
                temperature: 1.5,
                top_p: 0.95,
                seed,
            };
            let mut chooser = Chooser::new(sampling);
            (0..30).map(|step| chooser.choose(&logits(step, 60)).token).collect()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn probabilities_are_those_of_the_softmax() {
        let logits = logits(9, 50);
        let choice = Chooser::new(Sampling::Greedy).choose(&logits);
        let all: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
        let exact = (f64::from(logits[choice.token as usize]).exp() / all).ln();
        assert!((f64::from(choice.log_probability) - exact).abs() < 1e-5);
    }

    #[test]
    fn separability_ignores_shift_and_scale_and_grows_with_the_lead() {
        for seed in 0..30 {
            let mut logits = logits(seed, 100);
            let plain = separability(&logits);
            let moved: Vec<f32> = logits.iter().map(|logit| logit * 3.0 + 7.0).collect();
            assert!(
                (separability(&moved) - plain).abs() < 0.02 * plain.abs().max(1.0),
                "seed {seed}"
            );
            let best = likeliest(&logits);
            logits[best] += 2.0;
            assert!(separability(&logits) > plain, "seed {seed}");
        }
        assert_eq!(of_answer(&[]), None);
        assert_eq!(of_answer(&[5.0, 1.0, 9.0, 7.0, 3.0]), Some(2.0));
    }
}
