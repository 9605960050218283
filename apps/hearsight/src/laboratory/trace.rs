//! Recorded uplinks in the two formats that people have: Mahimahi's (Winstein and others 2013), a line for each millisecond at
//! which a packet could leave, plain or gzipped; and OpenNetLab's (AlphaRTC gym), JSON of stretches with kilobits per second.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use hearsight_core::network::uplink::{Stretch, Trace, TraceError};
use hearsight_core::time::Span;
use serde_json::Value;
use thiserror::Error;

/// The longest recording that is read, unpacked.
const MOST_BYTES: u64 = 32 << 20;

/// Why a recording can't be used.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file can't be read.
    #[error("can't read the trace: {0}")]
    File(#[from] std::io::Error),
    /// It is too long.
    #[error("the trace is longer than 32 MiB; cut it")]
    Long,
    /// It is no text.
    #[error("the trace is no text; it must be in Mahimahi's or OpenNetLab's format, or gzipped")]
    Binary,
    /// A line of Mahimahi's is no number.
    #[error("line {0} of the trace is no whole number of milliseconds")]
    Line(usize),
    /// The JSON of OpenNetLab's is not as it must be.
    #[error("the trace's JSON can't be used: {0}")]
    Json(String),
    /// What it says can't be.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

/// Reads a recording from a file.
pub fn read(path: &Path) -> Result<Trace, ReadError> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        GzDecoder::new(&bytes[..])
            .take(MOST_BYTES + 1)
            .read_to_end(&mut unpacked)?;
        bytes = unpacked;
    }
    if bytes.len() as u64 > MOST_BYTES {
        return Err(ReadError::Long);
    }
    parse(std::str::from_utf8(&bytes).map_err(|_| ReadError::Binary)?)
}

/// Reads a recording from its text: JSON where it begins as such.
pub fn parse(text: &str) -> Result<Trace, ReadError> {
    match text.trim_start().starts_with('{') {
        true => opennetlab(text),
        false => mahimahi(text),
    }
}

fn mahimahi(text: &str) -> Result<Trace, ReadError> {
    let lines = text.lines().enumerate().map(|(index, line)| (index, line.trim()));
    let moments: Result<Vec<u64>, ReadError> = lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| line.parse().map_err(|_| ReadError::Line(index + 1)))
        .collect();
    Ok(Trace::from_opportunities(moments?)?)
}

fn opennetlab(text: &str) -> Result<Trace, ReadError> {
    let json: Value = serde_json::from_str(text).map_err(|error| ReadError::Json(error.to_string()))?;
    let pattern = json.pointer("/uplink/trace_pattern").and_then(Value::as_array);
    let pattern = pattern.ok_or_else(|| ReadError::Json("it has no list uplink.trace_pattern".into()))?;
    let stretches: Result<Vec<Stretch>, ReadError> = pattern.iter().enumerate().map(stretch).collect();
    Ok(Trace::from_stretches(stretches?)?)
}

/// A stretch lasts milliseconds, carries kilobits per second, loses a share and goes there and back in a round trip.
fn stretch((index, json): (usize, &Value)) -> Result<Stretch, ReadError> {
    let number = |name: &str, otherwise: Option<f64>| match json.get(name) {
        None | Some(Value::Null) if otherwise.is_some() => Ok(otherwise.unwrap_or_default()),
        found => found
            .and_then(Value::as_f64)
            .ok_or_else(|| ReadError::Json(format!("{name} of stretch {} is no number", index + 1))),
    };
    let millis = |value: f64| {
        let inside = value.is_finite() && (0.0..1e9).contains(&value);
        let odd = || ReadError::Trace(TraceError::Number(index + 1));
        inside.then(|| Span::from_nanos((value * 1e6) as i64)).ok_or_else(odd)
    };
    Ok(Stretch {
        span: millis(number("duration", None)?)?,
        // Where only delay or loss is recorded, the link is wide.
        rate: number("capacity", Some(100_000.0))? * 1_000.0,
        loss: number("loss", Some(0.0))?,
        delay: millis(number("rtt", Some(0.0))? / 2.0)?,
        jitter: millis(number("jitter", Some(0.0))?)?,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn both_formats_are_read_plain_and_gzipped() {
        let trace = parse("0\n5\n5\r\n\n1000\n").expect("Mahimahi's");
        assert_eq!(trace.span(), Span::from_secs(1));
        assert!((trace.mean_rate() - 4.0 * 1_504.0 * 8.0).abs() < 1.0);
        let json = r#" {"type":"video","downlink":{},"uplink":{"trace_pattern":[
            {"duration":500,"capacity":1000,"loss":0.2,"rtt":400,"jitter":0},{"duration":500.0,"capacity":300}]}}"#;
        let trace = parse(json).expect("OpenNetLab's");
        assert_eq!(trace.span(), Span::from_secs(1));
        assert!((trace.mean_rate() - 650_000.0).abs() < 1.0);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("trace.gz");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(json.as_bytes()).expect("packed");
        std::fs::write(&path, packed.finish().expect("packed")).expect("written");
        assert_eq!(read(&path).expect("read"), trace);
    }

    #[test]
    fn what_is_broken_is_refused_by_line_and_name() {
        let says = |text: &str| parse(text).expect_err(text).to_string();
        assert!(says("").contains("empty"));
        assert!(says("1\n-2\n").contains("line 2"));
        assert!(says("1\n1.5\n").contains("line 2"));
        assert!(says("99999999999999999999").contains("line 1"));
        assert!(says("9\n3\n").contains("moment 2"));
        assert!(says("{").contains("JSON"));
        assert!(says("{}").contains("uplink.trace_pattern"));
        let with = |stretch: &str| says(&format!(r#"{{"uplink":{{"trace_pattern":[{stretch}]}}}}"#));
        assert!(with("7").contains("duration of stretch 1"));
        assert!(with(r#"{"duration":"1"}"#).contains("duration of stretch 1"));
        assert!(with(r#"{"duration":-1}"#).contains("stretch 1"));
        assert!(with(r#"{"duration":9,"capacity":-1}"#).contains("stretch 1"));
        assert!(with(r#"{"duration":9,"loss":2}"#).contains("stretch 1"));
        assert!(with(r#"{"duration":9,"capacity":0}"#).contains("nothing"));
        assert!(with("").contains("empty"));
    }

    #[test]
    fn a_small_file_that_unpacks_to_much_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bomb.gz");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![b'\n'; 1 << 20];
        (0..40).for_each(|_| packed.write_all(&zeros).expect("packed"));
        std::fs::write(&path, packed.finish().expect("packed")).expect("written");
        assert!(matches!(read(&path), Err(ReadError::Long)));
        std::fs::write(&path, [0x1f, 0x8b, 1, 2, 3]).expect("written");
        assert!(matches!(read(&path), Err(ReadError::File(_))));
        std::fs::write(&path, [0xff; 9]).expect("written");
        assert!(matches!(read(&path), Err(ReadError::Binary)));
    }

    #[test]
    fn mangled_recordings_are_read_or_refused_and_nothing_else() {
        let json = r#"{"uplink":{"trace_pattern":[{"duration":500,"capacity":1000,"loss":0.2,"rtt":4}]}}"#;
        for seed in 0..3_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = [json, "0\n7\n7\n90\n"][random.usize(0..2)].as_bytes().to_vec();
            for _ in 0..random.usize(1..6) {
                let place = random.usize(0..bytes.len());
                match random.u8(0..3) {
                    0 => bytes[place] = random.u8(0..128),
                    1 => bytes.insert(place, b'9'),
                    _ => drop(bytes.remove(place)),
                }
            }
            if let Ok(trace) = parse(&String::from_utf8_lossy(&bytes)) {
                assert!(trace.mean_rate() > 0.0 && trace.mean_rate().is_finite(), "seed {seed}");
            }
        }
    }
}
