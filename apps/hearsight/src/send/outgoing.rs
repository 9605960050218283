//! One outgoing RTP stream: timestamps, packetisation and the sender reports that say when they were captured.

use std::sync::Arc;

use bytes::Bytes;
use hearsight_core::media::{Codec, Packet};
use hearsight_core::stamped::Stamped;
use hearsight_core::time::{MediaTime, Moment, Span};
use rtc::rtcp;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::source_description::{SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem};
use rtc::rtp;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::packetizer::Payloader;
use tokio::time::sleep_until;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;

use super::estimate::Estimate;
use super::tally::Tally;
use super::{SendError, UnixClock};

/// Leaves room for IPv6, UDP, the SRTP tag and the two bytes of a retransmission under a 1,280 byte path.
const PAYLOAD: usize = 1_160;
/// The receiver can map capture times only after the first reports: these come quickly, in case one is lost.
const EARLY: (u32, Span) = (4, Span::from_millis(200));
/// The pace after that, as browsers have it.
const STEADY: Span = Span::from_secs(1);

/// A unit goes out at so many times what the path takes, so that it fills no queue by itself and leaves room for the next.
const PACE: f64 = 2.0;
/// And never takes longer: whoever waits for it would take the connection for dead.
const LONGEST: Span = Span::from_millis(300);
/// Packets that are due within so little go out together: timers are no finer.
const BURST: Span = Span::from_millis(4);

/// Bits per second at which a unit of so many bytes goes out.
fn pace(allowed: u32, octets: usize) -> f64 {
    (f64::from(allowed) * PACE).max(octets as f64 * 8.0 / LONGEST.secs_f64())
}

/// A stream of one codec on one SSRC.
pub(super) struct Outgoing {
    track: Arc<TrackLocalStaticRTP>,
    stream: Stream,
    tally: Tally,
    estimate: Estimate,
}

impl Outgoing {
    /// A stream that will send on `track`, with `payload_type` as negotiated.
    pub(super) fn new(track: Arc<TrackLocalStaticRTP>, stream: Stream, tally: Tally, estimate: Estimate) -> Outgoing {
        Outgoing {
            track,
            stream,
            tally,
            estimate,
        }
    }

    /// Sends one unit, a large one over some time, and a sender report when one is due.
    pub(super) async fn send(&mut self, unit: &Stamped<Packet>, clock: &UnixClock) -> Result<(), SendError> {
        let packets = self.stream.packets(unit)?;
        let octets: usize = packets.iter().map(|packet| packet.payload.len()).sum();
        self.tally.sent(unit.item.codec, packets.len(), octets);
        let began = clock.now();
        let pace = self.estimate.allowed(began).map(|allowed| pace(allowed, octets));
        let mut ahead = 0;
        for packet in packets {
            if let Some(pace) = pace {
                let due = began + Span::from_nanos((ahead as f64 * 8e9 / pace) as i64);
                if due - clock.now() > BURST {
                    sleep_until(clock.clock().instant_from_moment(due).into()).await;
                }
            }
            ahead += packet.payload.len();
            self.estimate.sent(clock.now());
            self.track.write_rtp(packet).await.map_err(SendError::gone)?;
        }
        let report = self.stream.report(unit, clock.now(), clock);
        if let Some(report) = report {
            self.reports(report).await?;
        }
        Ok(())
    }

    /// Sends RTCP packets.
    pub(super) async fn reports(&self, reports: Vec<Box<dyn rtcp::Packet>>) -> Result<(), SendError> {
        self.track.write_rtcp(reports).await.map_err(SendError::gone)
    }

    /// Sends a packet of someone else's making as one of this stream.
    pub(super) async fn as_it_is(&self, mut packet: rtp::Packet) -> Result<(), SendError> {
        packet.header.ssrc = self.stream.ssrc;
        packet.header.payload_type = self.stream.payload_type;
        self.track.write_rtp(packet).await.map_err(SendError::gone)
    }
}

/// The arithmetic of a stream, without a socket.
pub(super) struct Stream {
    codec: Codec,
    ssrc: u32,
    payload_type: u8,
    rate: u32,
    first_timestamp: u32,
    sequence: u16,
    payloader: H264Payloader,
    packets: u32,
    octets: u32,
    reports: u32,
    next_report: Option<Moment>,
    cname: Bytes,
}

impl Stream {
    /// A stream with random starts, as RFC 3550 section 5.1 asks for; `cname` binds audio and video together.
    pub(super) fn new(codec: Codec, ssrc: u32, payload_type: u8, cname: &str, rng: &mut fastrand::Rng) -> Stream {
        let rate = match codec {
            Codec::H264 => 90_000,
            Codec::Opus => 48_000,
        };
        Stream {
            codec,
            ssrc,
            payload_type,
            rate,
            first_timestamp: rng.u32(..),
            // Low starts keep the first roll-over away from the start, where a receiver can't yet tell it from a jump.
            sequence: rng.u16(..0x8000),
            payloader: H264Payloader::default(),
            packets: 0,
            octets: 0,
            reports: 0,
            next_report: None,
            cname: Bytes::copy_from_slice(cname.as_bytes()),
        }
    }

    /// The RTP timestamp of a media time: both streams count from the same zero.
    fn timestamp(&self, at: MediaTime) -> u32 {
        self.first_timestamp
            .wrapping_add((at - MediaTime::ZERO).samples(self.rate) as u32)
    }

    /// Cuts a unit into RTP packets: RFC 6184 packetisation mode 1 for H.264, one packet for Opus (RFC 7587).
    fn packets(&mut self, unit: &Stamped<Packet>) -> Result<Vec<rtp::Packet>, SendError> {
        if unit.item.codec != self.codec {
            return Err(SendError::Codec {
                expected: self.codec,
                got: unit.item.codec,
            });
        }
        let bytes = Bytes::from_owner(Arc::clone(&unit.item.payload));
        let payloads = match self.codec {
            Codec::H264 => self.payloader.payload(PAYLOAD, &bytes).map_err(SendError::gone)?,
            Codec::Opus => vec![bytes],
        };
        let (timestamp, last) = (self.timestamp(unit.at), payloads.len());
        let mut packets = Vec::with_capacity(last);
        for (i, payload) in payloads.into_iter().enumerate() {
            self.packets = self.packets.wrapping_add(1);
            self.octets = self.octets.wrapping_add(payload.len() as u32);
            self.sequence = self.sequence.wrapping_add(1);
            packets.push(rtp::Packet {
                header: rtp::Header {
                    version: 2,
                    marker: self.codec == Codec::H264 && i + 1 == last,
                    payload_type: self.payload_type,
                    sequence_number: self.sequence,
                    timestamp,
                    ssrc: self.ssrc,
                    ..Default::default()
                },
                payload,
            });
        }
        Ok(packets)
    }

    /// A compound sender report when one is due.
    ///
    /// The crate's own report interceptor pairs the RTP timestamp with the instant at which a packet is *written*, so
    /// capture would look as late as encoding and pacing make it. These pair it with `born`: what the unit shows was
    /// captured then, and the pair is carried forward to `now`, as RFC 3550 section 6.4.1 defines it.
    fn report(&mut self, unit: &Stamped<Packet>, now: Moment, clock: &UnixClock) -> Option<Vec<Box<dyn rtcp::Packet>>> {
        if self.next_report.is_some_and(|due| now < due) {
            return None;
        }
        self.reports = self.reports.saturating_add(1);
        self.next_report = Some(now + if self.reports < EARLY.0 { EARLY.1 } else { STEADY });
        let report = SenderReport {
            ssrc: self.ssrc,
            ntp_time: clock.ntp_from_moment(now),
            rtp_time: self.timestamp(unit.at + (now - unit.born)),
            packet_count: self.packets,
            octet_count: self.octets,
            ..Default::default()
        };
        let names = SourceDescription {
            chunks: vec![SourceDescriptionChunk {
                source: self.ssrc,
                items: vec![SourceDescriptionItem {
                    sdes_type: SdesType::SdesCname,
                    text: self.cname.clone(),
                }],
            }],
        };
        Some(vec![Box::new(report), Box::new(names)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearsight_live::clock::Clock;

    fn stream(codec: Codec, seed: u64) -> Stream {
        Stream::new(codec, 7, 96, "c", &mut fastrand::Rng::with_seed(seed))
    }

    fn unit(codec: Codec, at: MediaTime, born: Moment, payload: &[u8]) -> Stamped<Packet> {
        Stamped::new(
            at,
            born,
            Packet {
                codec,
                payload: payload.into(),
                key: true,
                missing: 0,
            },
        )
    }

    /// Unix nanoseconds of an NTP timestamp.
    fn unix_nanos(ntp: u64) -> i64 {
        ((ntp >> 32) as i64 - 2_208_988_800) * 1_000_000_000 + (((ntp & 0xffff_ffff) * 1_000_000_000) >> 32) as i64
    }

    #[test]
    fn reports_map_every_timestamp_back_to_its_capture_however_late_it_is_sent() {
        let clock = UnixClock::new(Clock::new());
        for seed in 0..100 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let codec = if rng.bool() { Codec::H264 } else { Codec::Opus };
            let mut stream = stream(codec, seed);
            let start = clock.now();
            let (mut anchor, mut at) = (None, MediaTime::ZERO);
            for _ in 0..300 {
                at += Span::from_millis(20);
                let born = start + (at - MediaTime::ZERO);
                let unit = unit(codec, at, born, &[0x65, 1, 2, 3]);
                let timestamp = stream.packets(&unit).expect("right codec")[0].header.timestamp;
                let late = Span::from_micros(rng.i64(0..400_000));
                if let Some(report) = stream.report(&unit, born + late, &clock) {
                    let report = report[0]
                        .as_any()
                        .downcast_ref::<SenderReport>()
                        .expect("a sender report first")
                        .clone();
                    anchor = Some((report.ntp_time, report.rtp_time));
                }
                let (ntp, rtp) = anchor.expect("a report with the first unit");
                let ticks = i64::from(timestamp.wrapping_sub(rtp) as i32);
                let captured = unix_nanos(ntp) + ticks * 1_000_000_000 / i64::from(stream.rate);
                let truth = clock.unix_us_from_moment(born) * 1_000;
                assert!((captured - truth).abs() < 50_000, "{} ns off", captured - truth);
            }
        }
    }

    #[test]
    fn sound_and_pictures_count_from_the_same_zero() {
        let (sound, picture) = (stream(Codec::Opus, 1), stream(Codec::H264, 2));
        for millis in [0, 20, 1_000, 100_000_000] {
            let at = MediaTime::from_millis(millis);
            let sound = sound.timestamp(at).wrapping_sub(sound.timestamp(MediaTime::ZERO));
            let picture = picture.timestamp(at).wrapping_sub(picture.timestamp(MediaTime::ZERO));
            assert_eq!(sound, (millis * 48) as u32);
            assert_eq!(picture, (millis * 90) as u32);
        }
    }

    #[test]
    fn a_large_picture_is_cut_and_only_its_last_packet_marked() {
        let mut payload = vec![0, 0, 0, 1, 0x67, 66, 0, 31, 0, 0, 0, 1, 0x68, 9, 0, 0, 0, 1, 0x65];
        payload.extend(std::iter::repeat_n(0xab, 9_000));
        let mut stream = stream(Codec::H264, 3);
        let packets = stream
            .packets(&unit(Codec::H264, MediaTime::ZERO, Moment::ZERO, &payload))
            .expect("H.264");
        assert!(packets.len() >= 9);
        assert_eq!(
            packets[0].payload[0] & 0x1f,
            24,
            "parameter sets travel together (STAP-A)"
        );
        for (i, packet) in packets.iter().enumerate() {
            assert!(packet.payload.len() <= PAYLOAD);
            assert_eq!(packet.header.marker, i + 1 == packets.len());
            assert_eq!(
                packet.header.sequence_number,
                packets[0].header.sequence_number.wrapping_add(i as u16)
            );
        }
    }

    #[test]
    fn the_wrong_codec_is_refused() {
        let unit = unit(Codec::Opus, MediaTime::ZERO, Moment::ZERO, &[1]);
        assert!(matches!(
            stream(Codec::H264, 4).packets(&unit),
            Err(SendError::Codec { .. })
        ));
    }
}
