//! STUN binding requests (RFC 8489) whose integrity is whatever the attacker likes.

const COOKIE: u32 = 0x2112_a442;

/// A request to the agent called `ours` that claims to be a peer, as ICE has it (RFC 8445 section 7.1), with a
/// MESSAGE-INTEGRITY that was made without knowing the password, and a right fingerprint.
pub(super) fn spoofed_request(random: &mut fastrand::Rng, ours: &str) -> Vec<u8> {
    let mut attributes = Vec::new();
    let name = format!("{ours}:{:08x}", random.u32(..));
    attribute(&mut attributes, 0x0006, name.as_bytes());
    attribute(&mut attributes, 0x0024, &random.u32(..).to_be_bytes());
    attribute(&mut attributes, 0x802a, &random.u64(..).to_be_bytes());
    attribute(&mut attributes, 0x0025, &[]);
    let guess: [u8; 20] = std::array::from_fn(|_| random.u8(..));
    attribute(&mut attributes, 0x0008, &guess);
    let transaction: [u8; 12] = std::array::from_fn(|_| random.u8(..));
    let mut message = vec![0, 1];
    // The fingerprint's eight bytes count.
    message.extend((attributes.len() as u16 + 8).to_be_bytes());
    message.extend(COOKIE.to_be_bytes());
    message.extend(transaction);
    message.extend(attributes);
    let fingerprint = crc32(&message) ^ 0x5354_554e;
    attribute(&mut message, 0x8028, &fingerprint.to_be_bytes());
    message
}

fn attribute(into: &mut Vec<u8>, kind: u16, value: &[u8]) {
    into.extend(kind.to_be_bytes());
    into.extend((value.len() as u16).to_be_bytes());
    into.extend(value);
    into.resize(into.len().next_multiple_of(4), 0);
}

/// The CRC-32 of ISO 3309, which STUN's fingerprint uses.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spoofed_request_names_its_victim_and_carries_a_right_checksum() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let message = spoofed_request(&mut fastrand::Rng::with_seed(1), "abcd");
        assert_eq!(hearsight::ingest::stun_request_name(&message), Some("abcd"));
        assert_eq!(
            usize::from(u16::from_be_bytes([message[2], message[3]])),
            message.len() - 20
        );
    }
}
