//! Hears what the receiver says about what it gets: keyframe requests (PLI, RFC 4585 section 6.3.1, and FIR, RFC 5104
//! section 4.3.1), retransmission requests (NACK, RFC 4585 section 6.2.1), caps (REMB, draft-alvestrand-rmcat-remb-03) and
//! reception reports (RFC 3550 section 6.4).

use std::collections::VecDeque;
use std::time::Instant;

use hearsight_core::media::Request;
use hearsight_core::time::Span;
use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use tokio::sync::mpsc;

use super::tally::Tally;
use super::{Heard, UnixClock};

/// Where feedback goes: requests to the caller, everything to the tally.
#[derive(Clone)]
pub(super) struct Ears {
    pub(super) heard: mpsc::Sender<Heard>,
    pub(super) tally: Tally,
    pub(super) clock: UnixClock,
}

impl Ears {
    fn hear(&self, report: &dyn rtcp::Packet) {
        let report = report.as_any();
        if report.is::<PictureLossIndication>() || report.is::<FullIntraRequest>() {
            self.tally.note(|stats| stats.keyframes_asked += 1);
            self.ask(Request::Keyframe);
        } else if let Some(nack) = report.downcast_ref::<TransportLayerNack>() {
            let lost: u32 = nack.nacks.iter().map(|pair| 1 + pair.lost_packets.count_ones()).sum();
            self.tally.note(|stats| stats.nacked += u64::from(lost));
        } else if let Some(cap) = report.downcast_ref::<ReceiverEstimatedMaximumBitrate>() {
            if cap.bitrate >= 1.0 {
                self.ask(Request::Cap(cap.bitrate as u32));
            }
        } else if let Some(report) = report.downcast_ref::<ReceiverReport>() {
            let now = (self.clock.ntp_from_moment(self.clock.now()) >> 16) as u32;
            for block in &report.reports {
                self.tally
                    .receive(block.ssrc, block.fraction_lost, round_trip(now, block));
            }
        }
    }

    fn ask(&self, request: Request) {
        // A full queue already holds a reason to look; whoever wants something asks again.
        let _ = self.heard.try_send(Heard::Request(request));
    }
}

/// The round trip of RFC 3550 section 6.4.1 from the middle 32 bits of NTP's now; none before the first sender report.
fn round_trip(now: u32, block: &ReceptionReport) -> Option<Span> {
    if block.last_sender_report == 0 {
        return None;
    }
    let ticks = now.wrapping_sub(block.last_sender_report).wrapping_sub(block.delay) as i32;
    Some(Span::from_samples(i64::from(ticks.max(0)), 1 << 16))
}

/// Passes everything on and tells the ears: the crate hands no RTCP to the application by itself.
pub(super) struct FeedbackWatch {
    ears: Ears,
    read: VecDeque<TaggedPacket>,
    write: VecDeque<TaggedPacket>,
}

impl FeedbackWatch {
    /// Tells `ears`.
    pub(super) fn new(ears: Ears) -> FeedbackWatch {
        FeedbackWatch {
            ears,
            read: VecDeque::new(),
            write: VecDeque::new(),
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for FeedbackWatch {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(reports) = &packet.message.packet {
            reports.iter().for_each(|report| self.ears.hear(&**report));
        }
        self.read.push_back(packet);
        Ok(())
    }
    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.read.pop_front()
    }
    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.write.push_back(packet);
        Ok(())
    }
    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.write.pop_front()
    }
}

impl Interceptor for FeedbackWatch {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

#[cfg(test)]
mod tests {
    use hearsight_live::clock::Clock;
    use rtc::rtcp::transport_feedbacks::transport_layer_nack::NackPair;

    use super::*;

    fn ears() -> (Ears, mpsc::Receiver<Heard>) {
        let (heard, receiver) = mpsc::channel(4);
        let (tally, clock) = (Tally::default(), UnixClock::new(Clock::new()));
        (Ears { heard, tally, clock }, receiver)
    }

    #[test]
    fn requests_are_handed_on_and_everything_is_counted() {
        let (ears, mut heard) = ears();
        ears.hear(&PictureLossIndication::default());
        ears.hear(&ReceiverEstimatedMaximumBitrate {
            bitrate: 300_000.0,
            ..Default::default()
        });
        for odd in [f32::NAN, -1.0, 0.0] {
            ears.hear(&ReceiverEstimatedMaximumBitrate {
                bitrate: odd,
                ..Default::default()
            });
        }
        ears.hear(&TransportLayerNack {
            nacks: vec![NackPair {
                packet_id: 7,
                lost_packets: 0b101,
            }],
            ..Default::default()
        });
        assert_eq!(heard.try_recv(), Ok(Heard::Request(Request::Keyframe)));
        assert_eq!(heard.try_recv(), Ok(Heard::Request(Request::Cap(300_000))));
        assert!(heard.try_recv().is_err());
        // More requests than anybody reads are no harm.
        (0..100).for_each(|_| ears.hear(&FullIntraRequest::default()));
        let stats = ears.tally.stats();
        assert_eq!((stats.keyframes_asked, stats.nacked), (101, 3));
    }

    #[test]
    fn the_round_trip_is_what_the_receiver_did_not_wait() {
        let block = |last_sender_report, delay| ReceptionReport {
            last_sender_report,
            delay,
            ..Default::default()
        };
        let second = 1 << 16;
        assert_eq!(round_trip(5, &block(0, 0)), None);
        assert_eq!(round_trip(3 * second, &block(second, second)), Some(Span::from_secs(1)));
        // Over the end of the count, and a receiver whose delay can't be.
        assert_eq!(round_trip(10, &block(u32::MAX - second, 11)), Some(Span::from_secs(1)));
        assert_eq!(round_trip(second, &block(second, 5 * second)), Some(Span::ZERO));
    }
}
