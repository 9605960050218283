//! Packets as they are: what tests of receivers send to see them survive it.

use bytes::Bytes;
use rtc::rtcp;
use rtc::rtp;
use rtc::shared::marshal::Unmarshal;
use tokio::time::timeout;

use super::{Publisher, STALLED, SendError};

/// What a packet stands for.
enum Raw {
    Media(rtp::Packet),
    Reports(Vec<Box<dyn rtcp::Packet>>),
}

impl Publisher {
    /// Sends the bytes of an RTP packet, or of RTCP packets (told apart as RFC 5761 section 4 has it), on the stream of
    /// pictures. Of an RTP packet the source and the payload type become the stream's; all else stays. Errors: the bytes
    /// can't be read as such a packet, or the connection is gone.
    #[doc(hidden)]
    pub async fn raw(&self, packet: &[u8]) -> Result<(), SendError> {
        let mut bytes = Bytes::copy_from_slice(packet);
        let raw = if matches!(packet.get(1), Some(192..=223)) {
            Raw::Reports(rtcp::packet::unmarshal(&mut bytes).map_err(SendError::gone)?)
        } else {
            Raw::Media(rtp::Packet::unmarshal(&mut bytes).map_err(SendError::gone)?)
        };
        let sending = async { self.video.lock().await.raw(raw).await };
        timeout(STALLED, sending).await.map_err(|_| SendError::Stalled)?
    }
}

impl super::Outgoing {
    async fn raw(&self, raw: Raw) -> Result<(), SendError> {
        match raw {
            Raw::Media(packet) => self.as_it_is(packet).await,
            Raw::Reports(reports) => self.reports(reports).await,
        }
    }
}
