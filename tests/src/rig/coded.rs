//! Pictures as they arrive: encoded as browsers do, and decoded by our own decoder.

use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use hearsight_codecs::h264::{Config, Decoder, is_key};
use hearsight_core::media::{Codec, Decoded, Packet, Picture, Plane, Planes};
use hearsight_core::stage::{Engine, Outbox, Signal};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment};

/// Encodes pictures of one size, as raw 4:2:0 planes one after the other, as a browser sends them: OpenH264 for a camera at a
/// constant rate of `bitrate` bits a second, of `fps` pictures a second.
pub fn as_browsers_do(raw: &[u8], (width, height): (u32, u32), fps: u32, bitrate: u64) -> Result<Vec<u8>> {
    let mut command = Command::new("gst-launch-1.0");
    command.args(["-q", "fdsrc", "fd=0", "!", "rawvideoparse", "format=i420"]);
    command.args([
        format!("framerate={fps}/1"),
        format!("width={width}"),
        format!("height={height}"),
    ]);
    command.args([
        "!",
        "openh264enc",
        "usage-type=camera",
        "rate-control=bitrate",
        "complexity=low",
    ]);
    command.args([
        &format!("bitrate={bitrate}"),
        "gop-size=3000",
        "multi-thread=1",
        "!",
        "fdsink",
        "fd=1",
    ]);
    fed(&mut command, raw)
}

/// What a command writes when it is fed with `input`.
pub fn fed(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("{:?} does not start: `make setup` installs it", command.get_program()))?;
    let feed = child.stdin.take();
    let output = std::thread::scope(|scope| {
        if let Some(mut feed) = feed {
            // A command that ends early closes its end; its status says why.
            let feeding = move || drop(std::io::Write::write_all(&mut feed, input));
            let named = std::thread::Builder::new().name("feed".into());
            named.spawn_scoped(scope, feeding)?;
        }
        child.wait_with_output()
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{:?} failed: {}",
        command.get_program(),
        said.trim()
    );
    Ok(output.stdout)
}

/// Every picture of a stream of one slice per picture, by our decoder: a unit begins with what precedes a slice.
pub fn decode(stream: &[u8]) -> Result<Vec<Decoded>> {
    let marks = (0..stream.len().saturating_sub(4)).filter(|&at| stream[at..at + 3] == [0, 0, 1]);
    let (mut starts, mut whole) = (Vec::new(), true);
    for at in marks {
        if whole {
            starts.push(at);
        }
        // ITU-T H.264 table 7-1: 1 and 5 are slices.
        whole = matches!(stream[at + 3] & 0x1f, 1 | 5);
    }
    starts.push(stream.len());
    let mut decoder = Decoder::new(Config::default())?;
    let mut pictures = Vec::new();
    let signals = starts.windows(2).zip(0..).map(|(ends, number)| {
        let payload: Arc<[u8]> = stream[ends[0]..ends[1]].into();
        let packet = Packet {
            codec: Codec::H264,
            key: is_key(&payload),
            payload,
            missing: 0,
        };
        Signal::Item(Stamped::new(MediaTime::from_millis(number), Moment::ZERO, packet))
    });
    for signal in signals.chain([Signal::End]) {
        let mut out = Outbox::default();
        if let Err(fault) = decoder.run(Moment::ZERO, signal, &mut out) {
            bail!("the decoder gave up: {fault:?}");
        }
        pictures.extend(out.drain().filter_map(|signal| match signal {
            Signal::Item(decoded) => Some(decoded.item),
            _ => None,
        }));
    }
    Ok(pictures)
}

/// The planes of a picture without gaps between rows, one after the other.
pub fn raw(picture: &Picture<Planes>) -> Vec<u8> {
    let (columns, rows) = (picture.width as usize, picture.height as usize);
    let mut bytes = Vec::with_capacity(columns * rows * 3 / 2);
    for (plane, half) in [(&picture.pixels.y, 1), (&picture.pixels.u, 2), (&picture.pixels.v, 2)] {
        for row in 0..rows.div_ceil(half) {
            bytes.extend_from_slice(plane.row(row, columns.div_ceil(half)).unwrap_or_default());
        }
    }
    bytes
}

/// A picture from its raw planes. None where there are too few bytes.
pub fn picture(raw: &[u8], (width, height): (u32, u32)) -> Option<Picture<Planes>> {
    let (luma, half) = (
        width as usize * height as usize,
        width.div_ceil(2) as usize * height.div_ceil(2) as usize,
    );
    let plane = |from: usize, count: usize, stride: u32| {
        let bytes: Vec<u8> = raw.get(from..from + count)?.to_vec();
        Some(Plane {
            bytes: Arc::new(bytes),
            stride: stride as usize,
        })
    };
    Some(Picture {
        width,
        height,
        pixels: Planes {
            y: plane(0, luma, width)?,
            u: plane(luma, half, width.div_ceil(2))?,
            v: plane(luma + half, half, width.div_ceil(2))?,
        },
    })
}
