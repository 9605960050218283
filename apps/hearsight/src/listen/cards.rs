//! The microphones of this machine, through cpal. The callback converts, folds to mono and copies; nothing else.

use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Device, Error, ErrorKind, FromSample, InputCallbackInfo, Sample, SampleFormat, SizedSample,
    StreamConfig, SupportedBufferSize, SupportedStreamConfigRange,
};
use hearsight_core::time::Span;
use hearsight_live::clock::Clock;

use super::capture::{Format, Microphones, NoMicrophone};
use super::ring::{Alarm, Ended, Tap};
use crate::terminal::figures::printable;

/// Rates in the order in which they are wished for: those that cost least to resample first.
const RATES: [u32; 10] = [
    48_000, 16_000, 96_000, 32_000, 44_100, 192_000, 88_200, 24_000, 22_050, 8_000,
];
/// Sample formats in the order in which they are wished for.
const FORMATS: [SampleFormat; 6] = [
    SampleFormat::F32,
    SampleFormat::I16,
    SampleFormat::I32,
    SampleFormat::U16,
    SampleFormat::U8,
    SampleFormat::F64,
];
/// Ten milliseconds at a time: shorter ones cost wake-ups, longer ones are felt.
const PORTIONS_A_SECOND: u32 = 100;
/// How long the sound system may look for trouble in vain before it asks the device itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// The sound system, and which of its microphones is wanted.
pub struct Cards {
    wanted: String,
    clock: Clock,
}

impl Cards {
    /// The microphone called `wanted`: its identifier, its name, or a part of either whatever its case; empty: the
    /// system's default.
    pub fn new(wanted: &str, clock: Clock) -> Cards {
        Cards {
            wanted: wanted.to_owned(),
            clock,
        }
    }

    fn find(&self) -> Result<Device, NoMicrophone> {
        let host = cpal::default_host();
        if self.wanted.is_empty() {
            return host
                .default_input_device()
                .ok_or_else(|| refuse("this machine has none; plug one in"));
        }
        let devices = host.input_devices().map_err(|error| explain(&error))?;
        let mut devices: Vec<(String, Device)> = devices.map(|device| (called(&device), device)).collect();
        let names: Vec<&str> = devices.iter().map(|(name, _)| name.as_str()).collect();
        let place = chosen(&self.wanted, &names)
            .ok_or_else(|| refuse("none is called so; `hearsight listen --devices` lists them"))?;
        Ok(devices.swap_remove(place).1)
    }
}

impl Microphones for Cards {
    type Stream = cpal::Stream;

    fn open(&mut self, tap: Tap, alarm: Alarm) -> Result<(cpal::Stream, Format), NoMicrophone> {
        let _hushed = hush();
        let device = self.find()?;
        let ranges = device.supported_input_configs().map_err(|error| explain(&error))?;
        let Some((range, rate)) = best(ranges) else {
            return Err(refuse("it offers no format that can be heard; choose another"));
        };
        let config = StreamConfig {
            channels: range.channels(),
            sample_rate: rate,
            buffer_size: portion(*range.buffer_size(), rate),
        };
        let stream = build(&device, config, range.sample_format(), self.clock, tap, alarm)
            .and_then(|stream| stream.play().map(|()| stream))
            .map_err(|error| explain(&error))?;
        let format = Format {
            name: name(&device),
            rate,
            channels: config.channels,
        };
        Ok((stream, format))
    }
}

/// ALSA prints its complaints on standard error, across the captions and for every attempt. What matters comes as an error
/// too. Each call forgets what was held back before.
#[cfg(target_os = "linux")]
fn hush() -> Option<impl Sized> {
    alsa::Output::local_error_handler().ok()
}
#[cfg(not(target_os = "linux"))]
fn hush() {}

/// One line for every microphone: its identifier, its name and what it offers.
pub fn list() -> Result<Vec<String>, NoMicrophone> {
    let _hushed = hush();
    let host = cpal::default_host();
    let devices = host.input_devices().map_err(|error| explain(&error))?;
    let lines: Vec<String> = devices
        .map(|device| format!("{}  {}", called(&device), offers(&device)))
        .collect();
    if lines.is_empty() {
        return Err(refuse("this machine has none; plug one in"));
    }
    Ok(lines)
}

/// Identifier and name.
fn called(device: &Device) -> String {
    let id = device.id().map(|id| printable(id.id())).unwrap_or_default();
    format!("{id}  {}", name(device))
}

fn name(device: &Device) -> String {
    printable(&device.to_string())
}

fn offers(device: &Device) -> String {
    let ranges = match device.supported_input_configs() {
        Ok(ranges) => ranges,
        Err(error) => return format!("({})", error.to_string().trim_end_matches('.')),
    };
    match best(ranges) {
        Some((range, rate)) => format!("{rate} Hz, {} channels, {}", range.channels(), range.sample_format()),
        None => "(no format that can be heard)".into(),
    }
}

/// Which of `names`, each an identifier and a name, is meant by `wanted`: exactly, else in part.
fn chosen(wanted: &str, names: &[&str]) -> Option<usize> {
    let exactly = |name: &&str| name.split("  ").any(|part| part == wanted);
    let wanted = wanted.to_lowercase();
    let partly = |name: &&str| name.to_lowercase().contains(&wanted);
    names.iter().position(exactly).or_else(|| names.iter().position(partly))
}

/// The format that costs least: one channel, the rate and the sample format that are wished for most.
fn best(
    ranges: impl Iterator<Item = SupportedStreamConfigRange>,
) -> Option<(SupportedStreamConfigRange, cpal::SampleRate)> {
    ranges
        .filter_map(|range| {
            let offered = range.min_sample_rate()..=range.max_sample_rate();
            let wish = RATES.iter().position(|rate| offered.contains(rate))?;
            let format = FORMATS.iter().position(|format| *format == range.sample_format())?;
            Some(((range.channels(), wish, format), range))
        })
        .min_by_key(|(wish, _)| *wish)
        .map(|((_, wish, _), range)| (range, RATES[wish]))
}

fn portion(offered: SupportedBufferSize, rate: u32) -> BufferSize {
    match offered {
        SupportedBufferSize::Range { min, max } => {
            BufferSize::Fixed((rate / PORTIONS_A_SECOND).clamp(min, max.max(min)))
        }
        SupportedBufferSize::Unknown => BufferSize::Default,
    }
}

fn build(
    device: &Device,
    config: StreamConfig,
    format: SampleFormat,
    clock: Clock,
    tap: Tap,
    alarm: Alarm,
) -> Result<cpal::Stream, Error> {
    match format {
        SampleFormat::F32 => build_of::<f32>(device, config, clock, tap, alarm),
        SampleFormat::I16 => build_of::<i16>(device, config, clock, tap, alarm),
        SampleFormat::I32 => build_of::<i32>(device, config, clock, tap, alarm),
        SampleFormat::U16 => build_of::<u16>(device, config, clock, tap, alarm),
        SampleFormat::U8 => build_of::<u8>(device, config, clock, tap, alarm),
        SampleFormat::F64 => build_of::<f64>(device, config, clock, tap, alarm),
        _ => Err(ErrorKind::UnsupportedConfig.into()),
    }
}

fn build_of<T: SizedSample + Send + 'static>(
    device: &Device,
    config: StreamConfig,
    clock: Clock,
    mut tap: Tap,
    alarm: Alarm,
) -> Result<cpal::Stream, Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels).max(1);
    let share = 1.0 / channels as f32;
    device.build_input_stream(
        config,
        move |samples: &[T], info: &InputCallbackInfo| {
            let frames = samples.chunks_exact(channels).map(|frame| {
                let sum: f32 = frame.iter().map(|sample| f32::from_sample(*sample)).sum();
                sum * share
            });
            let handed = clock.now();
            let times = info.timestamp();
            let held = Span::from_duration(times.callback.saturating_duration_since(times.capture));
            tap.pour(frames, handed - held, handed);
        },
        move |error| match error.kind() {
            ErrorKind::Xrun => alarm.torn(),
            // It goes on, elsewhere or less punctually.
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
            ErrorKind::StreamInvalidated => alarm.ended(Ended::Changed),
            ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => alarm.ended(Ended::Unplugged),
            _ => alarm.ended(Ended::Failed),
        },
        Some(PATIENCE),
    )
}

fn refuse(problem: &str) -> NoMicrophone {
    NoMicrophone {
        problem: problem.to_owned(),
    }
}

/// What the sound system says, and what to do about it.
fn explain(error: &Error) -> NoMicrophone {
    let remedy = match error.kind() {
        ErrorKind::DeviceNotAvailable => {
            "plug one in, or choose one with --device (`hearsight listen --devices` lists them)"
        }
        ErrorKind::HostUnavailable => "start the sound server, or install ALSA",
        ErrorKind::PermissionDenied => "allow this user to use it (on Linux: the group `audio`)",
        ErrorKind::DeviceBusy => "close the program that uses it",
        _ => "choose another with --device (`hearsight listen --devices` lists them)",
    };
    refuse(&format!("{}; {remedy}", error.to_string().trim_end_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_microphone_is_found_by_what_people_call_it() {
        let names = [
            "default  Default Audio Device",
            "hw:CARD=1,DEV=0  USB Mic",
            "desk  USB Mic, front",
        ];
        assert_eq!(chosen("default", &names), Some(0));
        assert_eq!(chosen("USB Mic", &names), Some(1));
        assert_eq!(chosen("desk", &names), Some(2));
        assert_eq!(chosen("FRONT", &names), Some(2));
        assert_eq!(chosen("webcam", &names), None);
    }

    #[test]
    fn the_format_that_costs_least_is_chosen_and_none_that_cannot_be_heard() {
        let range = |channels, min, max, format| {
            SupportedStreamConfigRange::new(channels, min, max, SupportedBufferSize::Unknown, format)
        };
        let ranges = vec![
            range(2, 8_000, 192_000, SampleFormat::F32),
            range(1, 44_100, 44_100, SampleFormat::F32),
            range(1, 44_100, 48_000, SampleFormat::I16),
            range(1, 44_100, 48_000, SampleFormat::DsdU8),
        ];
        let (found, rate) = best(ranges.into_iter()).unwrap();
        assert_eq!(
            (found.channels(), rate, found.sample_format()),
            (1, 48_000, SampleFormat::I16)
        );
        assert!(best(vec![range(1, 384_000, 768_000, SampleFormat::F32)].into_iter()).is_none());
        assert!(best(std::iter::empty()).is_none());
    }

    #[test]
    fn portions_are_ten_milliseconds_where_the_card_allows_it() {
        let of = |min, max| portion(SupportedBufferSize::Range { min, max }, 48_000);
        assert_eq!(of(16, 4_096), BufferSize::Fixed(480));
        assert_eq!(of(1_024, 4_096), BufferSize::Fixed(1_024));
        assert_eq!(of(0, 256), BufferSize::Fixed(256));
        assert_eq!(portion(SupportedBufferSize::Unknown, 48_000), BufferSize::Default);
    }
}
