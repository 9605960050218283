//! A simulation as a picture: sessions and strain, value in time, and the age of final words, second by second.

use std::fmt::Write;

use hearsight_core::schedule::Strain;
use hearsight_core::time::Moment;

use super::Outcome;
use super::scenario::Scenario;
use crate::budget;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 60.0;
const GAP: f64 = 44.0;

/// One of the drawings below each other.
struct Panel<'a> {
    title: &'a str,
    unit: &'a str,
    points: Vec<(f64, f64)>,
    /// A height that is to be told, with its name.
    line: Option<(f64, &'a str)>,
}

/// The picture, as SVG.
pub(super) fn svg(scenario: &Scenario, outcome: &Outcome) -> String {
    let seconds = |at: Moment| (at - Moment::ZERO).secs_f64();
    let looks = |of: fn(&super::Look) -> f64| {
        let point = |look: &super::Look| (seconds(look.at), of(look));
        outcome.looks.iter().map(point).collect::<Vec<_>>()
    };
    let by_second = |of: fn(&super::Second) -> f64| {
        let point = |(second, value): (&i64, &super::Second)| (*second as f64 + 0.5, of(value));
        outcome.seconds.iter().map(point).collect::<Vec<_>>()
    };
    let budget = budget::WORDS_FINAL.span.secs_f64() * 1e3;
    let most_strain = (Strain::ALL.len() - 1) as f64;
    let panels = [
        Panel {
            title: "sessions",
            unit: "",
            points: looks(|look| look.here as f64),
            line: None,
        },
        Panel {
            title: "what gives way: 1 residual, 2 made pictures, 3 seeing, 4 provisional words, 5 newcomers",
            unit: "",
            points: looks(|look| f64::from(look.strain as u8)),
            line: Some((most_strain, "newcomers")),
        },
        Panel {
            title: "value in time, each second",
            unit: "",
            points: by_second(|second| second.value),
            line: None,
        },
        Panel {
            title: "oldest final words of each second",
            unit: " ms",
            points: by_second(|second| second.oldest.secs_f64() * 1e3),
            line: Some((budget, "budget")),
        },
    ];
    let end = seconds(outcome.until).max(scenario.length.secs_f64()).max(1.0);
    let height = panels.len() as f64 * (HEIGHT + GAP) + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        LEFT + WIDTH + 90.0,
        escaped(&scenario.name)
    );
    for (number, panel) in panels.iter().enumerate() {
        draw(&mut svg, panel, number as f64 * (HEIGHT + GAP) + 30.0, end);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel<'_>, top: f64, end: f64) {
    let highest = panel.points.iter().map(|point| point.1).fold(0.0, f64::max);
    let highest = highest.max(panel.line.map_or(0.0, |line| line.0)).max(1.0);
    let x = |at: f64| LEFT + at / end * WIDTH;
    let y = |value: f64| top + HEIGHT * (1.0 - value / highest);
    let bottom = top + HEIGHT;
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text>", top - 6.0, panel.title);
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT} {top}V{bottom}H{:.1}\" fill=\"none\" stroke=\"#999\"/>",
        LEFT + WIDTH
    );
    for (value, at) in [(highest, top + 4.0), (0.0, bottom)] {
        let label = format!("{value:.0}{}", panel.unit);
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{at:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">{end:.0} s</text>",
        LEFT + WIDTH,
        bottom + 14.0
    );
    if let Some((value, name)) = panel.line {
        let (at, to) = (y(value), LEFT + WIDTH);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{to:.1}\" stroke=\"#c33\" stroke-dasharray=\"4 4\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#c33\">{name}</text>",
            to + 6.0,
            at + 4.0
        );
    }
    let points: Vec<_> = panel
        .points
        .iter()
        .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#268\" stroke-width=\"1.5\"/>",
        points.join(" ")
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
