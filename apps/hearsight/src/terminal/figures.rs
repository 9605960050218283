//! Where time went: the line under a caption, and the table at the end.

use hearsight_core::meter::Histogram;
use hearsight_core::time::Span;

use crate::wire::Segment;

/// More outlets, and more segments of one, than any server of ours has.
const MOST: usize = 16;

/// Where the time of one event went.
#[derive(Clone, Debug, PartialEq)]
pub struct Fall {
    /// Which kind of event.
    pub outlet: String,
    /// The way, in order; null where it can't be known.
    pub segments: Vec<Segment>,
    /// Whether it counts from capture, or only from arrival.
    pub measured: bool,
    /// Whether it goes up to the person, or only to where the server let go of it.
    pub felt: bool,
}

impl Fall {
    /// All segments together, in microseconds.
    pub fn total_us(&self) -> i64 {
        self.segments
            .iter()
            .filter_map(|segment| segment.us)
            .fold(0, i64::saturating_add)
    }

    /// One line. The milliseconds add up: each is the difference of rounded sums.
    pub fn line(&self) -> String {
        let (mut sum, mut parts) = (0i64, Vec::new());
        for Segment { name, us } in &self.segments {
            let name = printable(name);
            match us {
                Some(us) => {
                    let before = millis(sum);
                    sum = sum.saturating_add(*us);
                    parts.push(format!("{name} {}", millis(sum) - before));
                }
                None => parts.push(format!("{name} ?")),
            }
        }
        let verb = if self.felt { "felt" } else { "sent after" };
        let since = if self.measured { "" } else { " since arrival" };
        format!("{verb} {} ms{since} = {}", millis(sum), parts.join(" · "))
    }
}

/// All falls so far, by outlet.
#[derive(Default)]
pub struct Figures {
    outlets: Vec<Outlet>,
}

struct Outlet {
    name: String,
    events: u64,
    segments: Vec<(String, Histogram)>,
    felt: Histogram,
}

impl Figures {
    /// Counts one.
    pub fn count(&mut self, fall: &Fall) {
        let place = self
            .outlets
            .iter()
            .position(|outlet| outlet.name == fall.outlet)
            .unwrap_or(self.outlets.len());
        if place == self.outlets.len() {
            if place == MOST {
                return;
            }
            let (name, felt) = (fall.outlet.clone(), Histogram::default());
            self.outlets.push(Outlet {
                name,
                events: 0,
                segments: Vec::new(),
                felt,
            });
        }
        let outlet = &mut self.outlets[place];
        outlet.events += 1;
        for Segment { name, us } in &fall.segments {
            let Some(us) = us else { continue };
            let span = Span::from_micros(*us);
            let known = outlet.segments.iter().position(|(known, _)| known == name);
            let place = known.unwrap_or(outlet.segments.len());
            if place == MOST {
                continue;
            }
            if known.is_none() {
                outlet.segments.push((name.clone(), Histogram::default()));
            }
            outlet.segments[place].1.record(span);
        }
        if fall.felt {
            outlet.felt.record(Span::from_micros(fall.total_us()));
        }
    }

    /// A table with a column per outlet: p50 / p95 in milliseconds.
    pub fn table(&self) -> Vec<String> {
        let mut outlets: Vec<&Outlet> = self.outlets.iter().collect();
        outlets.sort_by(|a, b| a.name.cmp(&b.name));
        let row = |name: &str, cell: &dyn Fn(&Outlet) -> String| {
            let cells: String = outlets.iter().map(|outlet| format!("  {:>15}", cell(outlet))).collect();
            format!("{:<16}{cells}", printable(name)).trim_end().to_owned()
        };
        let mut rows = vec![row("ms, p50 / p95", &|outlet| printable(&outlet.name))];
        rows.push(row("events", &|outlet| outlet.events.to_string()));
        for name in self.names() {
            let histogram = |outlet: &Outlet| {
                outlet
                    .segments
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, h)| quantiles(h))
            };
            rows.push(row(&name, &|outlet| histogram(outlet).unwrap_or_default()));
        }
        rows.push(row("felt, in all", &|outlet| quantiles(&outlet.felt)));
        rows
    }

    /// The names of all segments, each before those that follow it on every way.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for outlet in &self.outlets {
            let mut place = 0;
            for (name, _) in &outlet.segments {
                match names.iter().position(|known| known == name) {
                    Some(known) => place = known + 1,
                    None => {
                        names.insert(place, name.clone());
                        place += 1;
                    }
                }
            }
        }
        names
    }
}

/// What a terminal can be given: no control codes from elsewhere.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn quantiles(histogram: &Histogram) -> String {
    let of = |q| histogram.quantile(q).map(|span| millis(span.micros()));
    match (of(0.5), of(0.95)) {
        (Some(half), Some(most)) => format!("{half} / {most}"),
        _ => "-".into(),
    }
}

fn millis(us: i64) -> i64 {
    us.saturating_add(500).div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fall(outlet: &str, segments: &[(&str, i64)]) -> Fall {
        let segments = segments
            .iter()
            .map(|(name, us)| Segment {
                name: (*name).into(),
                us: Some(*us),
            })
            .collect();
        Fall {
            outlet: outlet.into(),
            segments,
            measured: true,
            felt: true,
        }
    }

    #[test]
    fn the_printed_milliseconds_add_up_whatever_they_are() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let names = [
                "network",
                "jitter",
                "decode",
                "vad",
                "recognise",
                "send",
                "deliver",
                "show",
            ];
            let segments: Vec<_> = names.iter().map(|name| (*name, random.i64(-700..90_000))).collect();
            let line = fall("words.final", &segments).line();
            let (head, parts) = line.split_once(" = ").unwrap();
            let number = |text: &str| text.split(' ').find_map(|word| word.parse::<i64>().ok()).unwrap();
            assert_eq!(parts.split(" · ").map(number).sum::<i64>(), number(head), "{line}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let mut fall = fall("turn", &[("jitter", 8_000), ("vad", 3_400)]);
        fall.segments.insert(
            0,
            Segment {
                name: "net\x1b[2Jwork".into(),
                us: None,
            },
        );
        (fall.measured, fall.felt) = (false, false);
        assert_eq!(
            fall.line(),
            "sent after 11 ms since arrival = net[2Jwork ? · jitter 8 · vad 3"
        );
    }

    #[test]
    fn the_table_has_a_column_per_outlet_and_the_segments_in_order() {
        let mut figures = Figures::default();
        for _ in 0..3 {
            figures.count(&fall(
                "words.final",
                &[("network", 1_000), ("vad", 2_000), ("recognise", 30_000), ("send", 0)],
            ));
            figures.count(&fall(
                "picture.stats",
                &[("network", 1_000), ("decode", 5_000), ("send", 0)],
            ));
        }
        let table = figures.table();
        let heads: Vec<&str> = table.iter().map(|row| row.split("  ").next().unwrap()).collect();
        assert_eq!(
            heads,
            [
                "ms, p50 / p95",
                "events",
                "network",
                "decode",
                "vad",
                "recognise",
                "send",
                "felt, in all"
            ]
        );
        assert!(table[0].ends_with("picture.stats      words.final"), "{}", table[0]);
        assert!(
            table[7].contains("6 / 6") && table[7].contains("33 / 33"),
            "{}",
            table[7]
        );
    }

    #[test]
    fn a_flood_of_names_is_not_kept() {
        let mut figures = Figures::default();
        for n in 0..1_000 {
            figures.count(&fall(&format!("o{n}"), &[(&format!("s{n}"), 1)]));
            figures.count(&fall("o0", &[(&format!("s{n}"), 1)]));
        }
        assert!(figures.outlets.len() <= MOST && figures.outlets[0].segments.len() <= MOST);
    }
}
