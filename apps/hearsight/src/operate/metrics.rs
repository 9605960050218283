//! The figures as Prometheus reads them: read from the counters that are there, at the moment of the scrape.
//!
//! No label has values that clients choose: routes, methods, stages and reasons are few and ours.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hearsight_core::meter::Histogram;
use hearsight_core::stage::Lost;
use hearsight_core::time::Span;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::process::Process;
use super::{Inside, Operate};
use crate::watch::View;

/// OpenMetrics, which Prometheus reads since its version 2.5.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the buckets of ages, in milliseconds: the budgets are among them.
const AGES_MS: [i64; 13] = [10, 25, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 2000, 5000];
/// Of slices; the declared ones are among them.
const SLICES_MS: [i64; 9] = [1, 2, 5, 10, 25, 50, 100, 250, 1000];
/// Of whole sessions, in seconds.
const SESSIONS_S: [i64; 9] = [1, 10, 30, 60, 300, 900, 1800, 3600, 14_400];

/// All figures, in OpenMetrics' text format.
pub fn text(operate: &Arc<Operate>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures(operate.clone())));
    let mut text = String::new();
    // Writing to a string can't fail, and a figure that could would be missing its end mark, which scrapers notice.
    let _ = encode(&mut text, &registry);
    text
}

struct Figures(Arc<Operate>);

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut page = Page(encoder);
        self.0.process(&mut page)?;
        self.0.http(&mut page)?;
        let Some(inside) = self.0.inside.get() else {
            return Ok(());
        };
        inside.sessions(&mut page)?;
        inside.viewers(&mut page)?;
        inside.views(&mut page)?;
        inside.transport(&mut page)?;
        inside.graphs(&mut page)?;
        inside.recognisers(&mut page)?;
        inside.told(&mut page)
    }
}

impl Operate {
    fn process(&self, page: &mut Page<'_>) -> fmt::Result {
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        page.gauges("hearsight_build_info", "What runs, as a label; always 1", [(build, 1)])?;
        let ready = u64::from(self.ready().is_ok());
        page.gauge("hearsight_ready", "1 while sessions are taken", ready)?;
        let process = Process::now();
        let (resident, threads) = (process.resident_bytes, process.threads);
        page.gauge(
            "process_resident_memory_bytes",
            "Resident memory, without workers",
            resident.unwrap_or(0),
        )?;
        page.gauge("process_threads", "Threads", threads.unwrap_or(0))?;
        page.gauge(
            "process_open_fds",
            "Open file descriptors",
            process.open_files.unwrap_or(0),
        )?;
        let mut cpu = page.family(
            "process_cpu_seconds",
            "Processor time, user and system",
            MetricType::Counter,
        )?;
        cpu.encode_counter::<NoLabels, f64, f64>(&process.cpu_seconds.unwrap_or(0.0), None)?;
        let reloads = [("taken", &self.reloads), ("refused", &self.refused_reloads)];
        let reloads = reloads.map(|(outcome, count)| ([("outcome", outcome)], count.load(Relaxed)));
        page.counters("hearsight_reloads", "Changes of the settings while running", reloads)
    }

    fn http(&self, page: &mut Page<'_>) -> fmt::Result {
        let answers = self.answers().clone();
        let refused = answers
            .iter()
            .filter(|(answer, _)| answer.route == "/whip/{stream}" && answer.method == "POST" && answer.status != 201);
        let refused: Vec<_> = refused
            .map(|(answer, count)| ([("reason", reason(answer.status))], *count))
            .collect();
        let answers = answers.iter().map(|(answer, count)| {
            let labels = [
                ("route", answer.route.clone()),
                ("method", answer.method.to_owned()),
                ("status", answer.status.to_string()),
            ];
            (labels, *count)
        });
        page.counters(
            "hearsight_http_responses",
            "HTTP answers of the main listeners",
            answers,
        )?;
        page.counters(
            "hearsight_sessions_refused",
            "Offers that were not accepted",
            summed(refused),
        )
    }
}

/// Why an offer was refused, as its status tells.
fn reason(status: u16) -> &'static str {
    match status {
        307 => "elsewhere",
        400 | 413 | 415 => "malformed",
        401 | 403 => "not_allowed",
        404 => "no_such_stream",
        422 => "unsupported",
        429 => "too_many",
        503 => "no_place",
        _ => "other",
    }
}

/// Rows of the same labels added up.
fn summed(rows: Vec<([(&'static str, &'static str); 1], u64)>) -> Vec<([(&'static str, &'static str); 1], u64)> {
    let mut sums = std::collections::BTreeMap::new();
    for (labels, count) in rows {
        *sums.entry(labels).or_default() += count;
    }
    sums.into_iter().collect()
}

impl Inside {
    fn sessions(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.ingest.stats();
        page.gauge(
            "hearsight_sessions_open",
            "Sessions, connected or not",
            stats.open as u64,
        )?;
        page.gauge(
            "hearsight_sessions_connecting",
            "Those not connected yet",
            stats.connecting as u64,
        )?;
        page.gauge(
            "hearsight_sessions_limit",
            "Sessions that may be open",
            self.max_sessions as u64,
        )?;
        let load = self.sessions.load();
        page.gauge(
            "hearsight_strain",
            "What gives way: 1 residual, 2 made pictures, 3 seeing, 4 provisional words, 5 newcomers",
            load.strain as u64,
        )?;
        page.gauge(
            "hearsight_engines_waiting",
            "Engines that wait for a thread",
            load.waiting as u64,
        )?;
        let account = self.sessions.account();
        page.counter(
            "hearsight_sessions_started",
            "Offers that were accepted",
            account.started,
        )?;
        let ended = account.ended.iter().map(|(why, count)| ([("why", *why)], *count));
        page.counters("hearsight_sessions_ended", "Sessions that are over, by why", ended)?;
        let bounds = SESSIONS_S.map(Span::from_secs);
        let lengths = [([], &account.lengths)];
        page.histograms(
            "hearsight_session_seconds",
            "How long sessions lasted",
            &bounds,
            lengths,
        )
    }

    fn viewers(&self, page: &mut Page<'_>) -> fmt::Result {
        let all = View::ALL.map(|view| ([("view", view.name())], self.sessions.screens().stats(view)));
        let viewers = all.map(|(view, stats)| (view, stats.viewers as u64));
        page.gauges("hearsight_viewers", "Viewers who are connected", viewers)?;
        let units = all.map(|(view, stats)| (view, stats.units));
        page.counters("hearsight_viewer_units", "Pictures that viewers were sent", units)?;
        let bytes = all.map(|(view, stats)| (view, stats.bytes));
        page.counters("hearsight_viewer_bytes", "Their bytes", bytes)?;
        let wishes = all.map(|(view, stats)| (view, stats.key_wishes));
        page.counters(
            "hearsight_viewer_keyframes_asked",
            "Keyframes that viewers needed",
            wishes,
        )?;
        let lost = all.iter().flat_map(|([view], stats)| {
            let reasons = Lost::ALL.into_iter().zip(stats.lost);
            reasons.map(|(why, count)| ([*view, ("why", why.name())], count))
        });
        page.counters("hearsight_viewer_lost", "Pictures that a viewer was not sent", lost)
    }

    fn transport(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.ingest.stats();
        let counters = [
            ("hearsight_datagrams", "UDP datagrams received", stats.datagrams),
            (
                "hearsight_datagrams_unroutable",
                "Those that belong to no session",
                stats.unroutable,
            ),
            (
                "hearsight_datagrams_unreadable",
                "Those that are none of STUN, DTLS, RTP and RTCP",
                stats.unreadable,
            ),
            (
                "hearsight_datagrams_unsent",
                "Datagrams that could not be sent",
                stats.unsent,
            ),
            ("hearsight_input_errors", "Inputs that a session refused", stats.errors),
            (
                "hearsight_addresses_contested",
                "Addresses claimed by two sessions",
                stats.contested,
            ),
            (
                "hearsight_session_panics",
                "Sessions that ended by a panic",
                stats.panics,
            ),
        ];
        for (name, help, count) in counters {
            page.counter(name, help, count)?;
        }
        Ok(())
    }

    fn graphs(&self, page: &mut Page<'_>) -> fmt::Result {
        let tally = self.sessions.account().tally;
        let lost = tally.lost.iter().map(|((stage, why), count)| {
            let labels = [("stage", *stage), ("why", why.name())];
            (labels, *count)
        });
        page.counters("hearsight_lost", "Units lost, by stage and reason", lost)?;
        let ages = tally.ages.iter().map(|(outlet, ages)| ([("outlet", *outlet)], ages));
        let bounds = AGES_MS.map(Span::from_millis);
        page.histograms(
            "hearsight_age_seconds",
            "Age of what an outlet hands over",
            &bounds,
            ages,
        )?;
        let slices = tally
            .slices
            .iter()
            .map(|(engine, slices)| ([("engine", *engine)], slices));
        let bounds = SLICES_MS.map(Span::from_millis);
        page.histograms(
            "hearsight_slice_seconds",
            "How long slices of engines take",
            &bounds,
            slices,
        )?;
        let depths = tally
            .depths
            .iter()
            .map(|(stage, depth)| ([("stage", *stage)], *depth as u64));
        page.gauges("hearsight_link_depth_max", "The longest that a link ever was", depths)
    }

    fn views(&self, page: &mut Page<'_>) -> fmt::Result {
        let Some(totals) = self.sessions.shown() else {
            return Ok(());
        };
        let frames = totals.moments().map(|(kind, count)| ([("kind", kind)], count));
        page.counters(
            "hearsight_view_frames",
            "Moments at which a smooth view shows a picture, by what became of them",
            frames,
        )?;
        let rungs = totals.rungs().map(|(rung, count)| ([("rung", rung)], count));
        page.gauges(
            "hearsight_view_rung",
            "Smooth views, by the best way that there is time for",
            rungs,
        )
    }

    fn recognisers(&self, page: &mut Page<'_>) -> fmt::Result {
        // Where no recogniser is a process, there are none.
        let Some(pool) = self.kit.pool() else { return Ok(()) };
        let crew = pool.crew();
        let states = [("idle", crew.idle), ("starting", crew.starting), ("taken", crew.taken)];
        let states = states.map(|(state, count)| ([("state", state)], count as u64));
        page.gauges("hearsight_recogniser_processes", "Recogniser processes", states)?;
        page.gauge(
            "hearsight_recogniser_limit",
            "Recogniser processes that may run",
            pool.most() as u64,
        )?;
        let resident: u64 = pool.memory().iter().map(|memory| memory.resident).sum();
        page.gauge(
            "hearsight_recogniser_memory_bytes",
            "Resident memory of them all",
            resident,
        )
    }

    fn told(&self, page: &mut Page<'_>) -> fmt::Result {
        let events = self.told.events.stats();
        page.gauge(
            "hearsight_event_readers",
            "Readers of events now",
            events.readers as u64,
        )?;
        page.counter(
            "hearsight_event_readers_cut_off",
            "Readers that were too slow",
            events.cut_off,
        )?;
        page.counter("hearsight_events_sent", "Events given to readers", events.sent)?;
        let hooks = self.told.webhooks.stats();
        let outcomes = [
            ("delivered", hooks.delivered),
            ("given_up", hooks.given_up),
            ("dropped", hooks.dropped),
        ];
        let outcomes = outcomes.map(|(outcome, count)| ([("outcome", outcome)], count));
        page.counters(
            "hearsight_webhook_events",
            "Events for the webhook, by what became of them",
            outcomes,
        )?;
        page.counter("hearsight_webhook_failures", "Attempts that failed", hooks.failures)?;
        page.gauge("hearsight_webhook_waiting", "Events that wait", hooks.waiting as u64)
    }
}

type NoLabels = [(&'static str, &'static str); 0];

/// Writes families of figures one after the other.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn family<'s>(&'s mut self, name: &'s str, help: &str, kind: MetricType) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        self.family(name, help, MetricType::Counter)?
            .encode_counter::<NoLabels, u64, f64>(&count, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.family(name, help, MetricType::Gauge)?.encode_gauge(&float(value))
    }

    fn counters<V: prometheus_client::encoding::EncodeLabelValue, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = ([(&'static str, V); N], u64)>,
    ) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Counter)?;
        for (labels, count) in rows {
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabels, u64, f64>(&count, None)?;
        }
        Ok(())
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = ([(&'static str, &'static str); N], u64)>,
    ) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Gauge)?;
        for (labels, value) in rows {
            family.encode_family(&labels)?.encode_gauge(&float(value))?;
        }
        Ok(())
    }

    fn histograms<'h, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[Span],
        rows: impl IntoIterator<Item = ([(&'static str, &'static str); N], &'h Histogram)>,
    ) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Histogram)?;
        for (labels, histogram) in rows {
            let mut below = 0;
            let mut buckets = Vec::with_capacity(bounds.len() + 1);
            for bound in bounds {
                let within = histogram.within(*bound);
                buckets.push((bound.secs_f64(), within - below));
                below = within;
            }
            buckets.push((f64::INFINITY, histogram.count() - below));
            family.encode_family(&labels)?.encode_histogram::<NoLabels>(
                histogram.sum().max(Span::ZERO).secs_f64(),
                histogram.count(),
                &buckets,
                None,
            )?;
        }
        Ok(())
    }
}

/// Gauges are written as floating point; a figure of ours is far below 2^53.
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests;
