//! `hearsight check`: could the server start with these settings, and what is to be done where it could not. Changes nothing.

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearsight_codecs::{h264, source};
use hearsight_models::asr::pocketsphinx::{self, Pool};
use hearsight_models::ocr;
use hearsight_models::runtime::Runtime;
use hearsight_models::vad::Silero;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;

use crate::app;
use crate::ask;
use crate::config::{Config, ConfigError, Report};
use crate::model_store;
use crate::recognisers;
use crate::serve;
use crate::terminal::say;
use crate::webhook;

/// Below this a certificate is about to be missed.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// What a recogniser process may take, in bytes.
const RECOGNISER: u64 = 120 << 20;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Good,
    /// The server starts, and somebody should know.
    Doubtful,
    /// The server does not start, or is of no use.
    Bad,
}

/// One check.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    /// The setting or part that was looked at.
    check: &'static str,
    state: State,
    found: String,
    remedy: String,
}

impl Finding {
    fn good(check: &'static str, found: impl fmt::Display) -> Finding {
        Finding {
            check,
            state: State::Good,
            found: found.to_string(),
            remedy: String::new(),
        }
    }
    fn doubtful(check: &'static str, found: impl fmt::Display, remedy: impl Into<String>) -> Finding {
        Finding {
            state: State::Doubtful,
            remedy: remedy.into(),
            ..Finding::good(check, found)
        }
    }
    /// `found` says what to do.
    fn bad(check: &'static str, found: impl fmt::Display) -> Finding {
        Finding {
            state: State::Bad,
            ..Finding::good(check, found)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.state {
            State::Good => '✓',
            State::Doubtful => '!',
            State::Bad => '✗',
        };
        write!(f, "{mark} {}: {}", self.check, self.found)?;
        if self.remedy.is_empty() {
            return Ok(());
        }
        write!(f, "; {}", self.remedy)
    }
}

/// One kind of check. Whoever adds something that a server needs adds what looks whether it is there.
type Check = fn(&Config, &mut Vec<Finding>);

const CHECKS: [Check; 8] = [addresses, certificate, access, folders, models, pulled, video, sources];

/// Looks at everything, prints what was found, and answers with the status of the command: success if the server could
/// start.
pub fn main(config: &Config, report: Report) -> ExitCode {
    let findings = look(config);
    let well = findings.iter().all(|finding| finding.state < State::Bad);
    match report {
        Report::People => {
            findings.iter().for_each(say);
            say(match well {
                true => "The server can start.",
                false => "The server can't start.",
            });
        }
        Report::Machines => say(json(&findings, well)),
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reports settings that can't even be read.
pub fn refused(problem: &ConfigError, report: Report) -> ExitCode {
    let finding = Finding::bad("settings", problem);
    match report {
        Report::People => say(format_args!("{finding}\nThe server can't start.")),
        Report::Machines => say(json(&[finding], false)),
    }
    ExitCode::FAILURE
}

fn look(config: &Config) -> Vec<Finding> {
    // Whoever checks is here because the settings were read: an error in them ended the program before.
    let mut findings = vec![Finding::good("settings", "every key and value is valid")];
    CHECKS.iter().for_each(|check| check(config, &mut findings));
    findings
}

fn json(findings: &[Finding], well: bool) -> serde_json::Value {
    let state = |state| match state {
        State::Good => "good",
        State::Doubtful => "doubtful",
        State::Bad => "bad",
    };
    let checks = findings.iter().map(|finding| {
        serde_json::json!({
            "check": finding.check, "state": state(finding.state), "found": finding.found, "remedy": finding.remedy,
        })
    });
    serde_json::json!({ "ok": well, "checks": checks.collect::<Vec<_>>() })
}

fn addresses(config: &Config, findings: &mut Vec<Finding>) {
    let tcp = [
        ("listen.http", config.listen.http),
        ("listen.https", config.listen.https),
        ("operate.listen", config.operate.listen),
    ];
    for (check, address) in tcp {
        if let Some(address) = address {
            findings.push(bound(check, address, TcpListener::bind(address).map(drop)));
        }
    }
    let udp = config.listen.udp;
    findings.push(bound("listen.udp", udp, UdpSocket::bind(udp).map(drop)));
    if let Some(operate) = config.operate.listen.filter(|address| !address.ip().is_loopback()) {
        let found = format!("{operate} is open to other machines, and asks for no token");
        findings.push(Finding::doubtful(
            "operate.listen",
            found,
            "let a firewall admit only those who may read figures",
        ));
    }
}

fn bound(check: &'static str, address: SocketAddr, bound: std::io::Result<()>) -> Finding {
    match bound {
        Ok(()) => Finding::good(check, format!("{address} is free")),
        Err(problem) if problem.kind() == ErrorKind::AddrInUse => {
            let remedy = "if that is not a running hearsight, stop it or choose another port";
            Finding::doubtful(check, format!("{address} is in use"), remedy)
        }
        Err(problem) if problem.kind() == ErrorKind::AddrNotAvailable => {
            let text = format!("{address} is no address of this machine: use one of its own, or 0.0.0.0");
            Finding::bad(check, text)
        }
        Err(problem) if problem.kind() == ErrorKind::PermissionDenied => {
            let text = format!("{address} is not for this user: use a port from 1024, or grant CAP_NET_BIND_SERVICE");
            Finding::bad(check, text)
        }
        Err(problem) => Finding::bad(check, format!("{address} can't be used ({problem}): choose another")),
    }
}

fn certificate(config: &Config, findings: &mut Vec<Finding>) {
    const CHECK: &str = "listen.certificate";
    let Some((chain, key)) = &config.listen.certificate else {
        if config.listen.https.is_some() {
            let remedy = "browsers warn of it once; name a certificate that they trust if strangers come";
            findings.push(Finding::doubtful(CHECK, "none is given, and one will be made", remedy));
        }
        return;
    };
    if let Err(problem) = serve::verify(chain, key) {
        findings.push(Finding::bad(CHECK, problem));
        return;
    }
    findings.push(match std::fs::read(chain).map(|pem| dates_and_names(&pem, now())) {
        Ok(Ok(finding)) => finding,
        Ok(Err(problem)) => Finding::bad(CHECK, format!("{} can't be read: {problem}", chain.display())),
        Err(problem) => Finding::bad(CHECK, format!("{} can't be read: {problem}", chain.display())),
    });
    if std::fs::metadata(key).is_ok_and(|about| about.mode() & 0o007 != 0) {
        let found = format!("every user of this machine can read {}", key.display());
        findings.push(Finding::doubtful("listen.key", found, "chmod o= it"));
    }
}

/// What the first certificate of a chain says of itself.
fn dates_and_names(chain: &[u8], now: Duration) -> Result<Finding, String> {
    const CHECK: &str = "listen.certificate";
    let der = CertificateDer::from_pem_slice(chain).map_err(|problem| problem.to_string())?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(|problem| problem.to_string())?;
    let names = match certificate.subject_alternative_name() {
        Ok(Some(names)) => names
            .value
            .general_names
            .iter()
            .filter_map(shown)
            .collect::<Vec<_>>()
            .join(", "),
        _ => String::new(),
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let (from, until) = (
        certificate.validity().not_before.timestamp(),
        certificate.validity().not_after.timestamp(),
    );
    let days = (until - now) / (24 * 3600);
    Ok(if now < from {
        Finding::bad(CHECK, "it is not valid yet: look at this machine's clock, or wait")
    } else if now >= until {
        Finding::bad(CHECK, "it has expired: renew it")
    } else if names.is_empty() {
        Finding::bad(
            CHECK,
            "it names no host (subjectAltName), and browsers refuse it: have it made anew",
        )
    } else if until - now < SOON.as_secs() as i64 {
        let found = format!("for {names}, and it expires in {days} days");
        Finding::doubtful(CHECK, found, "renew it; a running server takes the new one by itself")
    } else {
        Finding::good(CHECK, format!("for {names}, valid for another {days} days"))
    })
}

fn shown(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => <[u8; 4]>::try_from(*bytes)
            .map(std::net::IpAddr::from)
            .or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    }
}

/// Tokens, and the other files that hold secrets.
fn access(config: &Config, findings: &mut Vec<Finding>) {
    findings.push(match app::rules(config) {
        Ok(_) => Finding::good("access", "tokens and secrets can be read"),
        Err(problem) => Finding::bad("access", problem),
    });
    let beyond = config.listen.https.is_some_and(|address| !address.ip().is_loopback());
    if beyond && config.access.tokens.is_none() {
        let remedy = "set access.tokens to ask for tokens";
        findings.push(Finding::doubtful(
            "access.tokens",
            "whoever reaches this server may publish to it",
            remedy,
        ));
    }
    let Some(wanted) = &config.webhook else { return };
    findings.push(match webhook::Target::open(wanted) {
        Ok(_) => Finding::good("webhook.secret", "it can sign"),
        Err(problem) => Finding::bad("webhook.secret", problem),
    });
}

fn folders(config: &Config, findings: &mut Vec<Finding>) {
    if config.listen.https.is_some() && config.listen.certificate.is_none() {
        findings.push(writable("listen.state", &config.listen.state));
    }
    if let Some(tape) = &config.log.tape {
        let folder = tape.parent().filter(|folder| !folder.as_os_str().is_empty());
        findings.push(writable("log.tape", folder.unwrap_or(Path::new("."))));
    }
}

/// Whether a folder can be written, or made where it is missing.
fn writable(check: &'static str, folder: &Path) -> Finding {
    let there: PathBuf = match folder.ancestors().find(|folder| folder.is_dir()) {
        Some(there) => there.to_owned(),
        None => PathBuf::from("."),
    };
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match rustix::fs::access(&there, access) {
        Ok(()) => Finding::good(check, format!("{} can be written", folder.display())),
        Err(problem) => {
            let text = format!(
                "{} can't be written ({problem}): name another folder, or change its owner",
                there.display()
            );
            Finding::bad(check, text)
        }
    }
}

fn models(config: &Config, findings: &mut Vec<Finding>) {
    let assets = &config.assets;
    match Runtime::open(&assets.onnxruntime) {
        Err(problem) => {
            findings.push(Finding::bad("assets.onnxruntime", problem));
            processes(config, findings);
        }
        Ok(runtime) => {
            findings.push(Finding::good("assets.onnxruntime", "it can be loaded"));
            let checked = recognisers::check(app::recognisers_of(config), &runtime);
            // Where nobody knows who would be at work, it is looked at as well.
            if checked.as_ref().map_or(true, |checked| checked.processes) {
                processes(config, findings);
            }
            findings.push(match checked {
                Ok(checked) => Finding::good("hearing.recogniser", checked.text),
                Err(problem) => Finding::bad("hearing.recogniser", problem),
            });
            findings.push(match Silero::open(&runtime, &assets.silero) {
                Ok(_) => Finding::good("assets.silero", "the voice detector can be opened"),
                Err(problem) => Finding::bad("assets.silero", problem),
            });
            if let Some(reader) = config.seeing.reader {
                findings.push(match ocr::Model::open(&runtime, &assets.ocr, reader.threads.get(), 1) {
                    Ok(_) => Finding::good("assets.ocr", "the reader's models can be opened"),
                    Err(problem) => Finding::bad("assets.ocr", problem),
                });
            }
        }
    }
    if let Some(settings) = &config.ask {
        findings.push(match ask::check(settings, &assets.onnxruntime) {
            Ok(found) => Finding::good("ask.engine", found),
            Err(problem) => Finding::bad("ask.engine", problem),
        });
    }
    if !config.demo.talk.is_file() {
        let found = format!("{} is missing", config.demo.talk.display());
        findings.push(Finding::doubtful(
            "demo.talk",
            found,
            "`hearsight demo` has nothing to play; `make setup` makes it",
        ));
    }
}

/// Models that were pulled. Sizes alone are looked at: `hearsight models verify` reads them.
fn pulled(config: &Config, findings: &mut Vec<Finding>) {
    const CHECK: &str = "models";
    let store = model_store::command::open(&config.models);
    let list = match store.list() {
        Ok(list) => list,
        Err(problem) => return findings.push(Finding::doubtful(CHECK, problem, "")),
    };
    let (none, before) = ("none were pulled, and none are needed", findings.len());
    for (model, state) in list {
        let name = &model.name;
        findings.push(match state {
            model_store::State::Missing => continue,
            model_store::State::Here(Some(when)) => Finding::good(CHECK, format!("{name} is here, verified {when}")),
            model_store::State::Here(None) => {
                let remedy = format!("run `hearsight models verify {name}`");
                Finding::doubtful(CHECK, format!("{name} is here, and its digests are not locked"), remedy)
            }
            model_store::State::Partial(some, all) => {
                let remedy = format!("run `hearsight models pull {name}`");
                Finding::doubtful(
                    CHECK,
                    format!("{some} of {all} files of {name} are here and have their size"),
                    remedy,
                )
            }
        });
    }
    if findings.len() == before {
        findings.push(Finding::good(CHECK, none));
    }
}

fn processes(config: &Config, findings: &mut Vec<Finding>) {
    const CHECK: &str = "recognise";
    if let Err(problem) = pocketsphinx::verify_model(&config.assets.pocketsphinx) {
        findings.push(Finding::bad("assets.pocketsphinx", problem));
        return;
    }
    findings.push(Finding::good("assets.pocketsphinx", "its files are whole"));
    let one = pocketsphinx::Config {
        most: 1,
        ..Default::default()
    };
    let taken = app::worker_command(config).map(|worker| Pool::new(worker, one).take().map(drop));
    findings.push(match taken {
        Ok(Ok(())) => Finding::good(CHECK, "a recogniser process starts"),
        Ok(Err(problem)) => Finding::bad(CHECK, format!("no recogniser process starts: {problem}")),
        Err(problem) => Finding::bad(CHECK, format!("no recogniser process starts: {problem}")),
    });
    let needed = config.recognise.workers as u64 * RECOGNISER;
    if let Some(memory) = memory().filter(|memory| *memory < needed) {
        let (needed, memory) = (needed >> 20, memory >> 20);
        let found = format!("all recogniser processes together may take {needed} MB, and the machine has {memory} MB");
        findings.push(Finding::doubtful("recognise.workers", found, "lower it"));
    }
}

/// Bytes of memory that the machine has; none where it does not say.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn video(_: &Config, findings: &mut Vec<Finding>) {
    findings.push(match h264::Decoder::new(h264::Config::default()) {
        Ok(_) => Finding::good("video", "H.264 can be decoded"),
        Err(problem) => Finding::bad("video", format!("{problem}: install libavcodec")),
    });
}

/// What `hearsight publish` reads files and cameras with; a server does without.
fn sources(_: &Config, findings: &mut Vec<Finding>) {
    const CHECK: &str = "publish";
    let missing = source::missing_plugins();
    if missing.is_empty() {
        findings.push(Finding::good(CHECK, "files and cameras can be read"));
    }
    findings.extend(missing.iter().map(|plugin| {
        let found = format!("GStreamer's {} is not there", plugin.element);
        Finding::doubtful(
            CHECK,
            found,
            format!("install {} to publish files and cameras", plugin.package),
        )
    }));
}

fn now() -> Duration {
    #[allow(clippy::disallowed_methods, reason = "certificates are valid by the calendar")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
