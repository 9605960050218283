//! Pairs what was observed from outside with what was reported for the same events, and sums both up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The consequence of an event stands on the page within this, or the event counts as missed.
const WITHIN_MS: f64 = 3_000.0;
/// The account of an event comes with the frame in which it is shown, or a little later.
const ACCOUNT_BEFORE_MS: f64 = 50.0;
const ACCOUNT_AFTER_MS: f64 = 400.0;

/// What `observe.mjs` noted, in milliseconds of the page's clock.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Captures of the click, and of the first picture of the flash.
    pub(crate) clicks: Vec<f64>,
    pub(crate) flashes: Vec<f64>,
    pub(crate) shown_finals: Vec<f64>,
    pub(crate) shown_flashes: Vec<f64>,
    pub(crate) accounts: Vec<Account>,
}

/// The library's account of one event.
#[derive(Debug)]
pub(crate) struct Account {
    noted: f64,
    outlet: String,
    measured: bool,
    felt_us: f64,
    segments: Vec<(String, Option<f64>)>,
}

impl Observed {
    /// Reads it from the page's answer; None when anything is missing.
    pub(crate) fn read(seen: &Value) -> Option<Observed> {
        let list = |name: &str| seen[name].as_array().map(Vec::as_slice);
        // A capture bears the device's own stamp; the offset ties that to the page's clock.
        let capture = |value: &Value| Some(value["stamp"].as_f64()? + value["tie"]["offset"].as_f64()?);
        Some(Observed {
            clicks: list("clicks")?.iter().map(capture).collect::<Option<_>>()?,
            flashes: list("flashes")?.iter().map(capture).collect::<Option<_>>()?,
            shown_finals: list("shownFinals")?.iter().map(Value::as_f64).collect::<Option<_>>()?,
            shown_flashes: list("shownFlashes")?.iter().map(Value::as_f64).collect::<Option<_>>()?,
            accounts: list("accounts")?.iter().map(Account::read).collect::<Option<_>>()?,
        })
    }
}

impl Account {
    fn read(value: &Value) -> Option<Account> {
        let segment = |value: &Value| Some((value["name"].as_str()?.to_owned(), value["us"].as_f64()));
        Some(Account {
            noted: value["noted"].as_f64()?,
            outlet: value["outlet"].as_str()?.to_owned(),
            measured: value["measured"].as_bool()?,
            felt_us: value["felt_us"].as_f64()?,
            segments: value["segments"]
                .as_array()?
                .iter()
                .map(segment)
                .collect::<Option<_>>()?,
        })
    }
}

/// One outlet: the same events seen from outside and as reported.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    felt: Vec<f64>,
    sums: Vec<f64>,
    segments: BTreeMap<String, Vec<f64>>,
    /// Happened, but nothing was shown, or no account came, in time.
    pub(crate) missed: usize,
    /// Before the clocks were compared: the network's share is not known.
    pub(crate) unmeasured: usize,
}

/// The order of the table.
pub(crate) const SEGMENTS: [&str; 7] = ["network", "jitter", "decode", "vad", "recognise", "deliver", "show"];

impl Outlet {
    /// Pairs each of `happened` with the first of `shown` after it, and that with the account of `outlet` nearest to it.
    /// Events whose consequence may still have been under way when the page was left are not counted.
    pub(crate) fn pair(outlet: &str, happened: &[f64], shown: &[f64], accounts: &[Account]) -> Outlet {
        let mut found = Outlet::default();
        let left = accounts.last().map_or(f64::NEG_INFINITY, |account| account.noted);
        for (n, &began) in happened.iter().enumerate() {
            let next = happened.get(n + 1).copied().unwrap_or(f64::INFINITY);
            let until = next.min(began + WITHIN_MS);
            let seen = shown.iter().copied().find(|&at| at > began && at < until);
            let Some(seen) = seen else {
                found.missed += usize::from(until < left);
                continue;
            };
            let account = accounts
                .iter()
                .filter(|account| account.outlet == outlet)
                .filter(|account| (-ACCOUNT_BEFORE_MS..ACCOUNT_AFTER_MS).contains(&(account.noted - seen)))
                .min_by(|a, b| (a.noted - seen).abs().total_cmp(&(b.noted - seen).abs()));
            match account {
                None => found.missed += 1,
                Some(account) if !account.measured => found.unmeasured += 1,
                Some(account) => found.add(seen - began, account),
            }
        }
        found
    }

    fn add(&mut self, felt: f64, account: &Account) {
        self.felt.push(felt);
        self.sums.push(account.felt_us / 1e3);
        for (name, us) in &account.segments {
            let known = self.segments.entry(name.clone()).or_default();
            known.extend(us.map(|us| us / 1e3));
        }
    }

    /// How many events were measured in both ways.
    pub(crate) fn count(&self) -> usize {
        self.felt.len()
    }

    /// By how much the reported sum differs from what was observed: median against median, in per cent of the latter.
    pub(crate) fn difference(&self) -> Option<f64> {
        let (felt, sum) = (quantile(&self.felt, 0.5)?, quantile(&self.sums, 0.5)?);
        Some((sum - felt) / felt * 100.0)
    }

    /// What was felt and is in no segment, event by event, in milliseconds: steadier than the difference of two medians.
    fn unexplained(&self) -> Option<f64> {
        let apart: Vec<f64> = self.felt.iter().zip(&self.sums).map(|(felt, sum)| felt - sum).collect();
        quantile(&apart, 0.5)
    }

    /// One row of the table for people; [`Outlet::heading`] goes above.
    pub(crate) fn row(&self, name: &str) -> String {
        let shares = SEGMENTS.map(|segment| {
            let known = self.segments.get(segment);
            format!("{:>10}", figure(known.and_then(|known| quantile(known, 0.5))))
        });
        format!(
            "{name:<14}{:>4}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}  {}",
            self.count(),
            figure(quantile(&self.felt, 0.5)),
            figure(quantile(&self.felt, 0.95)),
            figure(quantile(&self.sums, 0.5)),
            figure(quantile(&self.sums, 0.95)),
            figure(self.difference()),
            figure(self.unexplained()),
            shares.concat()
        )
    }

    /// What stands above the rows.
    pub(crate) fn heading() -> String {
        let shares = SEGMENTS.map(|segment| format!("{segment:>10}"));
        format!(
            "{:<14}{:>4}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}  {}",
            "outlet",
            "n",
            "felt p50",
            "p95",
            "sum p50",
            "p95",
            "diff %",
            "apart",
            shares.concat()
        )
    }

    /// For the last line.
    pub(crate) fn json(&self) -> Value {
        let shares: serde_json::Map<String, Value> = self
            .segments
            .iter()
            .map(|(name, known)| (name.clone(), json!(round(quantile(known, 0.5)))))
            .collect();
        json!({
            "events": self.count(), "missed": self.missed, "unmeasured": self.unmeasured,
            "felt_ms_p50": round(quantile(&self.felt, 0.5)), "felt_ms_p95": round(quantile(&self.felt, 0.95)),
            "segments_sum_ms_p50": round(quantile(&self.sums, 0.5)),
            "segments_sum_ms_p95": round(quantile(&self.sums, 0.95)),
            "difference_percent": round(self.difference()), "unexplained_ms_p50": round(self.unexplained()),
             "segments_ms_p50": shares,
        })
    }
}

/// The value below which a share `q` of `values` lies, between neighbours in proportion. None of none.
pub(crate) fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q * sorted.len().checked_sub(1)? as f64;
    let lower = *sorted.get(place.floor() as usize)?;
    let upper = *sorted.get(place.ceil() as usize)?;
    Some(lower + (upper - lower) * place.fract())
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"))
}

fn round(value: Option<f64>) -> Option<f64> {
    value.map(|value| (value * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(noted: f64, measured: bool, felt_us: f64) -> Account {
        let us = measured.then_some(felt_us);
        Account {
            noted,
            outlet: "words.final".into(),
            measured,
            felt_us,
            segments: vec![("network".into(), us)],
        }
    }

    #[test]
    fn events_are_paired_with_what_they_caused_and_the_rest_is_counted() {
        let happened = [1_000.0, 6_000.0, 11_000.0, 16_000.0, 21_000.0];
        // The second one was never shown; the page was left while the last one was under way.
        let shown = [900.0, 1_500.0, 11_600.0, 16_400.0];
        let accounts = [
            account(1_505.0, false, 480_000.0),
            account(9_000.0, true, 1.0),
            account(11_590.0, true, 630_000.0),
            account(16_900.0, true, 1.0),
            account(21_500.0, true, 1.0),
        ];
        let found = Outlet::pair("words.final", &happened, &shown, &accounts);
        assert_eq!((found.unmeasured, found.missed, found.count()), (1, 2, 1));
        assert_eq!(
            (found.felt.as_slice(), found.sums.as_slice()),
            (&[600.0][..], &[630.0][..])
        );
        assert_eq!((found.difference(), found.unexplained()), (Some(5.0), Some(-30.0)));
        assert_eq!(found.json()["segments_ms_p50"]["network"], 630.0);
        assert_eq!(Outlet::pair("turn", &happened, &shown, &accounts).count(), 0);
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours_whatever_the_order() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut values: Vec<f64> = (0..random.u32(1..40)).map(f64::from).collect();
            random.shuffle(&mut values);
            let (q, most) = (random.f64(), values.len() as f64 - 1.0);
            let found = quantile(&values, q).unwrap();
            assert!((found - q * most).abs() < 1e-9, "seed {seed}: {found} of {most} at {q}");
        }
        assert_eq!(quantile(&[], 0.5), None);
    }
}
