//! Accuracy against kilobits, as a picture: fixed caps are a line, the rest are points.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::figures::Pooled;
use crate::flown::Scheme;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const EDGE: f64 = 60.0;

/// The plot.
pub(crate) fn svg(pooled: &BTreeMap<Scheme, Pooled>) -> String {
    let most = pooled.values().map(|pooled| pooled.kbps).fold(100.0, f64::max) * 1.1;
    let x = |kbps: f64| EDGE + kbps / most * (WIDTH - 2.0 * EDGE);
    let y = |accuracy: f64| HEIGHT - EDGE - accuracy * (HEIGHT - 2.0 * EDGE);
    let mut svg = String::new();
    let mut put = |line: std::fmt::Arguments<'_>| {
        let _ = svg.write_fmt(line);
        svg.push('\n');
    };
    put(format_args!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13">"#
    ));
    put(format_args!(r#"<rect width="100%" height="100%" fill="white"/>"#));
    put(format_args!(
        r#"<text x="{EDGE}" y="28" font-size="16">Questions answered against bits sent, pooled over recorded uplinks</text>"#
    ));
    for tenth in (0..=10).step_by(2) {
        let (at, label) = (y(f64::from(tenth) / 10.0), tenth * 10);
        put(format_args!(
            r##"<line x1="{EDGE}" x2="{}" y1="{at}" y2="{at}" stroke="#ddd"/><text x="20" y="{}">{label} %</text>"##,
            WIDTH - EDGE,
            at + 4.0
        ));
    }
    let step = (most / 6.0 / 50.0).ceil().max(1.0) * 50.0;
    for mark in (0..).map(|n| f64::from(n) * step).take_while(|mark| *mark <= most) {
        put(format_args!(
            r#"<text x="{}" y="{}" text-anchor="middle">{mark}</text>"#,
            x(mark),
            HEIGHT - EDGE + 20.0
        ));
    }
    put(format_args!(
        r#"<text x="{}" y="{}" text-anchor="middle">kilobits per second</text>"#,
        WIDTH / 2.0,
        HEIGHT - 14.0
    ));
    let fixed = pooled.iter().filter(|(scheme, _)| matches!(scheme, Scheme::Fixed(_)));
    let line: Vec<String> = fixed
        .map(|(_, pooled)| format!("{},{}", x(pooled.kbps), y(pooled.accuracy)))
        .collect();
    put(format_args!(
        r##"<polyline points="{}" fill="none" stroke="#999" stroke-dasharray="4 3"/>"##,
        line.join(" ")
    ));
    for (scheme, pooled) in pooled {
        let colour = colour(*scheme);
        let (x, y) = (x(pooled.kbps), y(pooled.accuracy));
        put(format_args!(
            r#"<circle cx="{x}" cy="{y}" r="5" fill="{colour}"/><text x="{}" y="{}" fill="{colour}">{}</text>"#,
            x + 8.0,
            y - 6.0,
            scheme.name()
        ));
    }
    put(format_args!("</svg>"));
    svg
}

fn colour(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Fixed(_) => "#999",
        Scheme::Crates => "#555",
        Scheme::Uniform => "#c33",
        Scheme::Cap => "#e90",
        Scheme::CapRegions => "#27b",
        Scheme::Full | Scheme::FullBelow(_) => "#282",
    }
}
