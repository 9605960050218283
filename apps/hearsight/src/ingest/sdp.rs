//! Reads offers, answers them, and refuses what we can't take: an answer is whole or there is none (RFC 9725 section 4.4).

use std::borrow::Cow;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use str0m::bwe::Bitrate;
use str0m::change::SdpOffer;
use str0m::format::{Codec, FormatParams};
use str0m::media::Frequency;
use str0m::{Candidate, Rtc, RtcConfig, RtcError};

use super::{Config, MAX_MESSAGE, OfferError};

/// The longest offer taken, in bytes.
pub const MAX_SDP: usize = 64 * 1024;

/// A picture of 1080p at a high rate is some 200 packets; a whole one must fit into the jitter buffer.
const VIDEO_HOLD_BACK: usize = 256;

/// Messages for a client that may wait in its SCTP association; more wait in its mailbox.
const CHANNEL_BUFFER: usize = 256 * 1024;

/// Payload type, its retransmission's, packetization mode and profile-level-id (RFC 6184 section 8.1): constrained
/// baseline, baseline and main, each with fragments (mode 1) first and single NAL units (mode 0) after.
const H264: [(u8, u8, u8, u32); 6] = [
    (108, 109, 1, 0x42e01f),
    (124, 120, 0, 0x42e01f),
    (127, 121, 1, 0x42001f),
    (125, 107, 0, 0x42001f),
    (123, 119, 1, 0x4d001f),
    (35, 36, 0, 0x4d001f),
];
const OPUS: u8 = 111;

/// What a viewer's path is taken for before it has been measured, in bits per second.
const FIRST_ESTIMATE: u64 = 2_000_000;

/// Which way media goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The client publishes.
    In,
    /// The client watches.
    Out,
}

/// An answered offer.
pub(super) struct Accepted {
    pub(super) rtc: Rtc,
    pub(super) answer: String,
    /// Our ICE user name: what clients' STUN requests name us by.
    pub(super) ufrag: String,
}

/// Reads an offer and checks that it sends sound or pictures to us, or takes pictures from us.
pub(super) fn read_offer(text: &str, way: Way) -> Result<SdpOffer, OfferError> {
    if text.len() > MAX_SDP {
        return Err(OfferError::Malformed(format!("it is longer than {MAX_SDP} bytes")));
    }
    if !text.starts_with("v=0") {
        return Err(OfferError::Malformed("it does not start with v=0".into()));
    }
    let text = match way {
        Way::In => receiving(text),
        Way::Out => sending(text).into(),
    };
    match way {
        Way::In => check_incoming(&text)?,
        Way::Out => check_outgoing(&text)?,
    }
    // Everything in it was written by a stranger: a panic in the parser is one more way of being malformed.
    let parsed = catch_unwind(|| SdpOffer::from_sdp_string(&text));
    match parsed {
        Ok(Ok(offer)) => Ok(offer),
        Ok(Err(error)) => Err(OfferError::Malformed(shortened(&error.to_string()))),
        Err(_) => Err(OfferError::Malformed("the parser gave up".into())),
    }
}

/// Builds the session's stack, with our candidates, and answers.
pub(super) fn accept(
    (offer, way): (SdpOffer, Way),
    config: &Config,
    candidates: &[SocketAddr],
    now: Instant,
) -> Result<Accepted, OfferError> {
    let kbps = config.start_kbps;
    let answered = catch_unwind(AssertUnwindSafe(|| {
        let mut rtc = stack(config, way, &offer).build(now);
        for address in candidates {
            let candidate = Candidate::host(*address, "udp").map_err(RtcError::Ice)?;
            rtc.add_local_candidate(candidate);
        }
        let answer = rtc.sdp_api().accept_offer(offer)?.to_sdp_string();
        let ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        Ok::<_, RtcError>((rtc, answer, ufrag))
    }));
    let (rtc, answer, ufrag) = match answered {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(error)) => return Err(OfferError::Malformed(shortened(&error.to_string()))),
        Err(_) => return Err(OfferError::Malformed("the negotiation gave up".into())),
    };
    check_answer(&answer, way)?;
    Ok(Accepted {
        rtc,
        answer: finished(&answer, (way == Way::In).then_some(kbps)),
        ufrag,
    })
}

/// Our side of every session. ICE-lite: we never send to an address before its owner has proved to know our password,
/// so an offer can't point us at a stranger.
fn stack(config: &Config, way: Way, offer: &SdpOffer) -> RtcConfig {
    let reorder: Duration = config.reorder.to_duration();
    let mut stack = RtcConfig::new()
        .set_ice_lite(true)
        .clear_codecs()
        .set_reordering_timeout_audio(Some(reorder))
        .set_reordering_size_video(VIDEO_HOLD_BACK)
        .set_sctp_max_buffered_amount(CHANNEL_BUFFER)
        .set_sctp_max_message_size(MAX_MESSAGE as u32);
    let codecs = stack.codec_config();
    let opus = FormatParams {
        min_p_time: Some(10),
        use_inband_fec: Some(true),
        ..Default::default()
    };
    codecs.add_config(
        OPUS.into(),
        None,
        Codec::Opus,
        Frequency::FORTY_EIGHT_KHZ,
        Some(2),
        opus,
    );
    for (pt, rtx, mode, profile) in H264 {
        // A whole picture does not fit into a packet, so we send fragments.
        if way == Way::In || mode == 1 {
            codecs.add_h264(pt.into(), Some(rtx.into()), mode == 1, profile);
        }
    }
    // Without feedback the first estimate would remain the last, and the pacer would hold pictures back.
    let measured = way == Way::Out && offer.to_sdp_string().contains(" transport-cc");
    stack.enable_bwe(measured.then_some(Bitrate::from(FIRST_ESTIMATE)))
}

/// The offer as one that only sends: we never send media, and the answer has to say `recvonly`.
pub(super) fn receiving(text: &str) -> Cow<'_, str> {
    if text.contains("a=sendrecv") {
        text.replace("a=sendrecv", "a=sendonly").into()
    } else {
        text.into()
    }
}

/// One `m=` section: its kind, whether its port is 0 (refused or switched off), and its lines.
struct Section<'a> {
    kind: &'a str,
    off: bool,
    lines: Vec<&'a str>,
}

impl Section<'_> {
    fn has(&self, line: &str) -> bool {
        self.lines.iter().any(|l| l.eq_ignore_ascii_case(line))
    }
    /// Payload types whose `a=rtpmap` names `codec`.
    fn payload_types<'b>(&'b self, codec: &'b str) -> impl Iterator<Item = &'b str> {
        self.lines.iter().filter_map(move |line| {
            let (pt, map) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            map.get(..codec.len())?.eq_ignore_ascii_case(codec).then_some(pt)
        })
    }
}

fn sections(sdp: &str) -> Vec<Section<'_>> {
    let mut all: Vec<Section<'_>> = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            let mut words = media.split(' ');
            let kind = words.next().unwrap_or_default();
            let off = words.next().is_some_and(|port| port == "0");
            all.push(Section {
                kind,
                off,
                lines: Vec::new(),
            });
        } else if let Some(section) = all.last_mut() {
            section.lines.push(line);
        }
    }
    all
}

fn codec_of(kind: &str) -> Option<&'static str> {
    match kind {
        "audio" => Some("opus/48000"),
        "video" => Some("H264/90000"),
        _ => None,
    }
}

/// The offer as one that only takes pictures: the answer has to say `sendonly` of the picture, and `inactive` of sound,
/// which nobody is sent. Other sections stay as they are.
fn sending(text: &str) -> String {
    let mut kind = "";
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        if let Some(media) = line.strip_prefix("m=") {
            kind = media.split(' ').next().unwrap_or_default();
        }
        let direction = matches!(line.trim_end(), "a=recvonly" | "a=sendrecv");
        out.push_str(match kind {
            "video" if direction => "a=recvonly",
            "audio" if direction => "a=inactive",
            _ => line,
        });
        out.push_str("\r\n");
    }
    out
}

fn check_outgoing(offer: &str) -> Result<(), OfferError> {
    let all = sections(offer);
    let unsupported = |why: &str| Err(OfferError::Unsupported(why.to_owned()));
    let pictures = || {
        all.iter()
            .filter(|s| s.kind == "video" && !s.off && s.has("a=recvonly"))
    };
    if all.len() > 8 || pictures().count() > 1 {
        return unsupported("at most one video track is sent: offer one");
    }
    match pictures().next() {
        None => unsupported("the offer takes no pictures: add a video section that is recvonly"),
        Some(picture) if picture.payload_types("H264/90000").next().is_none() => {
            unsupported("the video section does not offer H264/90000: allow this codec")
        }
        Some(_) => Ok(()),
    }
}

fn check_incoming(offer: &str) -> Result<(), OfferError> {
    let all = sections(offer);
    let count = |kind: &str| all.iter().filter(|s| s.kind == kind && !s.off).count();
    let unsupported = |why: &str| Err(OfferError::Unsupported(why.to_owned()));
    if count("audio") + count("video") == 0 {
        return unsupported("the offer has neither an audio nor a video section: add a track before making the offer");
    }
    if count("audio") > 1 || count("video") > 1 || all.len() > 8 {
        return unsupported("at most one audio and one video track are taken: offer one of each");
    }
    for section in all.iter().filter(|s| !s.off) {
        let Some(codec) = codec_of(section.kind) else { continue };
        if section.has("a=recvonly") || section.has("a=inactive") {
            return unsupported(&format!(
                "the {} section sends nothing: offer it as sendonly",
                section.kind
            ));
        }
        if section.payload_types(codec).next().is_none() {
            return unsupported(&format!(
                "the {} section does not offer {codec}: allow this codec",
                section.kind
            ));
        }
    }
    Ok(())
}

/// Refuses an answer in which a track was turned down: a profile or packetization mode that we do not know.
fn check_answer(answer: &str, way: Way) -> Result<(), OfferError> {
    if way == Way::Out {
        let sent = |s: &Section<'_>| !s.off && s.has("a=sendonly") && s.payload_types("H264/90000").next().is_some();
        return match sections(answer).iter().any(sent) {
            true => Ok(()),
            false => Err(OfferError::Unsupported(
                "no video format in common: we send H.264 constrained baseline, packetization-mode=1".into(),
            )),
        };
    }
    for section in sections(answer) {
        let Some(codec) = codec_of(section.kind) else { continue };
        if section.off || section.payload_types(codec).next().is_none() {
            return Err(OfferError::Unsupported(format!(
                "no {} format in common: we take Opus at 48 kHz, and H.264 constrained baseline, baseline or main",
                section.kind
            )));
        }
    }
    Ok(())
}

/// Says that there is no RTCP beside RTP (RFC 9725 section 4.4.1), and tells a Chromium that publishes where to start its
/// bandwidth estimate: from its default of 300 kbit/s, 720p takes ten seconds to come.
fn finished(answer: &str, start_kbps: Option<u32>) -> String {
    let all = sections(answer);
    let pts: Vec<&str> = all
        .iter()
        .filter(|s| s.kind == "video")
        .flat_map(|s| s.payload_types("H264/90000"))
        .collect();
    let mut text = String::with_capacity(answer.len() + 64 * pts.len());
    for line in answer.lines() {
        text.push_str(line);
        let pt = line.strip_prefix("a=fmtp:").and_then(|rest| rest.split(' ').next());
        if let Some(kbps) = start_kbps.filter(|_| pt.is_some_and(|pt| pts.contains(&pt))) {
            text.push_str(&format!(";x-google-start-bitrate={kbps}"));
        }
        text.push_str("\r\n");
        if line == "a=rtcp-mux" {
            text.push_str("a=rtcp-mux-only\r\n");
        }
    }
    text
}

/// Parsers quote their input; an error message needs only the beginning.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
