//! The peer connection: the only file that knows how the `webrtc` crate wants to be asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hearsight_core::media::Codec;
use rtc::interceptor::{CongestionControlBuilder, NackResponderBuilder, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::configure_twcc_sender_only;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_H264, MIME_TYPE_OPUS, MIME_TYPE_RTX, MediaEngine};
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpRtxParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::watch;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionState,
    RTCSessionDescription, Registry, SettingEngineBuilder,
};
use webrtc::rtp_transceiver::{RtpSender, RtpTransceiver};

use super::estimate::Estimate;
use super::feedback::{Ears, FeedbackWatch};
use super::outgoing::{Outgoing, Stream};
use super::tally::Tally;
use super::{DialError, SendError};
use crate::wire;

/// Without a word from the server for so long, the connection counts as disturbed, and then as failed.
const DISTURBED: Duration = Duration::from_secs(5);
const FAILED: Duration = Duration::from_secs(5);
/// How often silence is broken to know that the server is there.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// Our messages are small; more than this unacknowledged means that nobody reads.
const UNACKNOWLEDGED: usize = 256 * 1024;

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not there yet.
    Connecting,
    /// Media can flow.
    Connected,
    /// Over.
    Gone,
}

/// One peer connection with a stream of each kind and the data channel.
pub(super) struct Peer {
    connection: Box<dyn PeerConnection>,
    channel: Arc<dyn DataChannel>,
    video: Half,
    audio: Half,
    state: watch::Receiver<State>,
    tally: Tally,
    estimate: Estimate,
    cname: String,
}

struct Half {
    track: Arc<TrackLocalStaticRTP>,
    transceiver: Arc<dyn RtpTransceiver>,
    ssrc: u32,
}

impl Peer {
    /// Sets up a connection from the local address `from`, gathers its candidates and returns the offer.
    pub(super) async fn offer(
        from: IpAddr,
        ears: Ears,
        estimate: Estimate,
        rng: &mut fastrand::Rng,
    ) -> Result<(Peer, String), DialError> {
        let (state_tx, state) = watch::channel(State::Connecting);
        let (gathered_tx, mut gathered) = watch::channel(false);
        let settings = SettingEngineBuilder::new()
            .with_ice_timeouts(Some(DISTURBED), Some(FAILED), Some(KEEPALIVE))
            .with_include_loopback_candidate(from.is_loopback())
            .build();
        let tally = ears.tally.clone();
        let (media, registry) = media(ears, estimate.clone()).map_err(stack)?;
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(media)
            .with_setting_engine(settings)
            .with_interceptor_registry(registry)
            .with_handler(Arc::new(Handler {
                state: state_tx,
                gathered: gathered_tx,
            }))
            .with_data_channel_send_buffer_limit(UNACKNOWLEDGED)
            .with_udp_addrs(vec![SocketAddr::new(from, 0)])
            .build()
            .await
            .map_err(stack)?;
        let connection: Box<dyn PeerConnection> = Box::new(connection);
        let cname = format!("{:016x}", rng.u64(..));
        let video = half(&*connection, RtpCodecKind::Video, &cname, rng)
            .await
            .map_err(stack)?;
        let audio = half(&*connection, RtpCodecKind::Audio, &cname, rng)
            .await
            .map_err(stack)?;
        let channel = connection
            .create_data_channel(wire::CHANNEL, None)
            .await
            .map_err(stack)?;
        let offer = connection.create_offer(None).await.map_err(stack)?;
        connection.set_local_description(offer).await.map_err(stack)?;
        // Candidates go into the offer: one exchange, and servers without PATCH understand it too.
        let _ = gathered.wait_for(|done| *done).await;
        let made = connection.local_description().await;
        let offer = made.ok_or_else(|| stack("no offer was made"))?;
        Ok((
            Peer {
                connection,
                channel,
                video,
                audio,
                state,
                tally,
                estimate,
                cname,
            },
            offer.sdp,
        ))
    }

    /// Takes the answer and waits until media can flow and the channel is open.
    pub(super) async fn connect(
        &self,
        answer: String,
        rng: &mut fastrand::Rng,
    ) -> Result<(Outgoing, Outgoing), DialError> {
        let answer = RTCSessionDescription::answer(answer).map_err(|error| DialError::Answer(error.to_string()))?;
        let answered = self.connection.set_remote_description(answer).await;
        answered.map_err(|error| DialError::Answer(error.to_string()))?;
        let mut state = self.state.clone();
        let reached = state
            .wait_for(|state| *state != State::Connecting)
            .await
            .map(|state| *state);
        if reached.ok() != Some(State::Connected) {
            return Err(DialError::Unreachable("no path for media (ICE or DTLS failed)".into()));
        }
        loop {
            match self.channel.poll().await {
                Some(DataChannelEvent::OnOpen) => break,
                Some(DataChannelEvent::OnClose | DataChannelEvent::OnClosing) | None => {
                    return Err(DialError::Unreachable("the data channel was closed".into()));
                }
                Some(_) => {}
            }
        }
        let video = self.outgoing(&self.video, Codec::H264, rng).await?;
        let audio = self.outgoing(&self.audio, Codec::Opus, rng).await?;
        Ok((video, audio))
    }

    /// The next event of the data channel; `None` when there is no more.
    pub(super) async fn poll(&self) -> Option<DataChannelEvent> {
        self.channel.poll().await
    }

    /// Follows the connection's state.
    pub(super) fn state(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Sends a text message.
    pub(super) async fn say(&self, text: &str) -> Result<(), SendError> {
        self.channel.send_text(text).await.map_err(SendError::gone)
    }

    /// Says goodbye.
    pub(super) async fn close(&self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "closing a connection that was closed");
        }
    }

    async fn outgoing(&self, half: &Half, codec: Codec, rng: &mut fastrand::Rng) -> Result<Outgoing, DialError> {
        let refused = || DialError::Answer(format!("the server doesn't take {codec:?}"));
        let direction = half.transceiver.current_direction().await.map_err(stack)?;
        if !matches!(
            direction,
            RTCRtpTransceiverDirection::Sendonly | RTCRtpTransceiverDirection::Sendrecv
        ) {
            return Err(refused());
        }
        let sender: Arc<dyn RtpSender> = half.transceiver.sender().await.map_err(stack)?.ok_or_else(refused)?;
        let parameters = sender.get_parameters().await.map_err(stack)?;
        let mime = if codec == Codec::H264 {
            MIME_TYPE_H264
        } else {
            MIME_TYPE_OPUS
        };
        let mut codecs = parameters.rtp_parameters.codecs.iter();
        let negotiated = codecs
            .find(|c| c.rtp_codec.mime_type.eq_ignore_ascii_case(mime))
            .ok_or_else(refused)?;
        let stream = Stream::new(codec, half.ssrc, negotiated.payload_type, &self.cname, rng);
        let (track, estimate) = (Arc::clone(&half.track), self.estimate.clone());
        Ok(Outgoing::new(track, stream, self.tally.clone(), estimate))
    }
}

/// Which of our addresses leads to the server.
pub(super) async fn local_address(host: &str, port: u16) -> Result<IpAddr, DialError> {
    let unreachable = |error: std::io::Error| DialError::Unreachable(error.to_string());
    let mut candidates = lookup_host((host, port)).await.map_err(unreachable)?;
    let server = candidates
        .next()
        .ok_or_else(|| DialError::Address("the host has no address".into()))?;
    let any: IpAddr = if server.is_ipv4() {
        [0u8; 4].into()
    } else {
        [0u8; 16].into()
    };
    // Connecting a datagram socket sends nothing: it only asks the routing table.
    let socket = UdpSocket::bind((any, 0)).await.map_err(unreachable)?;
    socket.connect(server).await.map_err(unreachable)?;
    Ok(socket.local_addr().map_err(unreachable)?.ip())
}

fn stack(error: impl std::fmt::Display) -> DialError {
    DialError::Stack(error.to_string())
}

struct Handler {
    state: watch::Sender<State>,
    gathered: watch::Sender<bool>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        match state {
            RTCPeerConnectionState::Connected => self.state.send_replace(State::Connected),
            RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => self.state.send_replace(State::Gone),
            _ => return,
        };
    }
}

/// What is sent, and what is done to it on its way and to what comes back.
fn media(ears: Ears, estimate: Estimate) -> Result<(MediaEngine, Registry), rtc::shared::error::Error> {
    let registry = Registry::new()
        .with(Slot::NackResponder, NackResponderBuilder::new().build())
        .with(Slot::IntervalPli, FeedbackWatch::new(ears))
        .with(Slot::CongestionControl, CongestionControlBuilder::new(estimate).build());
    let mut media = codecs()?;
    let registry = configure_twcc_sender_only(registry, &mut media)?;
    Ok((media, registry))
}

fn codecs() -> Result<MediaEngine, rtc::shared::error::Error> {
    let mut engine = MediaEngine::default();
    engine.register_codec(h264(), RtpCodecKind::Video)?;
    engine.register_codec(video(MIME_TYPE_RTX, "apt=102", 103, vec![]), RtpCodecKind::Video)?;
    engine.register_codec(opus(), RtpCodecKind::Audio)?;
    Ok(engine)
}

/// H.264, constrained baseline, in packetisation mode 1 (RFC 6184).
fn h264() -> RTCRtpCodecParameters {
    let feedback = |typ: &str, parameter: &str| RTCPFeedback {
        typ: typ.into(),
        parameter: parameter.into(),
    };
    let wanted = vec![
        feedback("goog-remb", ""),
        feedback("nack", ""),
        feedback("nack", "pli"),
        feedback("ccm", "fir"),
    ];
    video(
        MIME_TYPE_H264,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        102,
        wanted,
    )
}

/// Opus with in-band FEC (RFC 7587).
fn opus() -> RTCRtpCodecParameters {
    let rtp_codec = RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.into(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: "minptime=10;useinbandfec=1".into(),
        rtcp_feedback: vec![],
    };
    RTCRtpCodecParameters {
        rtp_codec,
        payload_type: 111,
    }
}

fn video(mime: &str, fmtp: &str, payload_type: u8, rtcp_feedback: Vec<RTCPFeedback>) -> RTCRtpCodecParameters {
    let rtp_codec = RTCRtpCodec {
        mime_type: mime.into(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: fmtp.into(),
        rtcp_feedback,
    };
    RTCRtpCodecParameters {
        rtp_codec,
        payload_type,
    }
}

async fn half(
    connection: &dyn PeerConnection,
    kind: RtpCodecKind,
    stream_id: &str,
    rng: &mut fastrand::Rng,
) -> Result<Half, rtc::shared::error::Error> {
    let (ssrc, rtx) = (rng.u32(1..), rng.u32(1..));
    let codec = if kind == RtpCodecKind::Video {
        h264().rtp_codec
    } else {
        opus().rtp_codec
    };
    let rtx = (kind == RtpCodecKind::Video).then_some(RTCRtpRtxParameters { ssrc: rtx });
    let coding = RTCRtpCodingParameters {
        ssrc: Some(ssrc),
        rtx,
        ..Default::default()
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: coding,
        codec,
        ..Default::default()
    };
    let name = format!("{kind}");
    let track = MediaStreamTrack::new(stream_id.into(), name.clone(), name, kind, vec![encoding.clone()]);
    let track = Arc::new(TrackLocalStaticRTP::new(track));
    let init = RTCRtpTransceiverInit {
        direction: RTCRtpTransceiverDirection::Sendonly,
        streams: vec![stream_id.into()],
        send_encodings: vec![encoding],
    };
    let sent = Arc::clone(&track) as Arc<dyn TrackLocal>;
    let transceiver = connection.add_transceiver_from_track(sent, Some(init)).await?;
    Ok(Half {
        track,
        transceiver,
        ssrc,
    })
}
