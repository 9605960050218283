//! H.264 as files keep it (ISO/IEC 14496-15: each NAL unit behind its length, parameter sets in the header) as a byte
//! stream (ITU-T H.264 Annex B: each behind a start code, parameter sets before key pictures).

use crate::h264::is_key;

const START: [u8; 4] = [0, 0, 0, 1];

/// How the access units of a file are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// They are byte streams already.
    Stream,
    /// NAL units behind lengths of so many bytes.
    Lengths {
        bytes: usize,
        /// The parameter sets of the header, as a byte stream.
        sets: Vec<u8>,
    },
}

impl Framing {
    /// From the header of the stream: an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 section 5.3.3.1), or anything else
    /// for a byte stream. A record that is cut short gives the sets that are whole.
    pub(super) fn of(header: &[u8]) -> Framing {
        let [1, _, _, _, lengths, counts, rest @ ..] = header else {
            return Framing::Stream;
        };
        let bytes = usize::from(lengths & 3) + 1;
        let mut sets = Vec::new();
        let mut rest = rest;
        take_sets(&mut rest, counts & 31, &mut sets);
        if let [counts, behind @ ..] = rest {
            rest = behind;
            take_sets(&mut rest, *counts, &mut sets);
        }
        Framing::Lengths { bytes, sets }
    }

    /// One access unit as a byte stream, with parameter sets where it can be entered. A unit whose lengths lie gives what
    /// there is of it.
    pub(super) fn byte_stream(&self, unit: &[u8]) -> Vec<u8> {
        let Framing::Lengths { bytes, sets } = self else {
            return unit.to_vec();
        };
        let mut stream = Vec::with_capacity(unit.len() + sets.len() + 16);
        let mut rest = unit;
        while let Some((length, behind)) = rest.split_at_checked(*bytes) {
            let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            let (nal, behind) = behind.split_at(length.min(behind.len()));
            if !nal.is_empty() {
                stream.extend(START);
                stream.extend(nal);
            }
            rest = behind;
        }
        if is_key(&stream) {
            stream.splice(0..0, sets.iter().copied());
        }
        stream
    }
}

/// So many parameter sets, each behind its length of 16 bits.
fn take_sets(rest: &mut &[u8], count: u8, into: &mut Vec<u8>) {
    for _ in 0..count {
        let Some((length, behind)) = rest.split_first_chunk::<2>() else {
            return;
        };
        let Some((set, behind)) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            return;
        };
        into.extend(START);
        into.extend(set);
        *rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 17] = [1, 66, 0, 30, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 3, 99];

    #[test]
    fn lengths_become_start_codes_and_sets_stand_before_key_pictures() {
        let framing = Framing::of(&HEADER);
        let sets = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3];
        assert_eq!(
            framing,
            Framing::Lengths {
                bytes: 4,
                sets: sets.to_vec()
            }
        );
        let other = framing.byte_stream(&[0, 0, 0, 2, 0x41, 7, 0, 0, 0, 1, 0x41]);
        assert_eq!(other, [0, 0, 0, 1, 0x41, 7, 0, 0, 0, 1, 0x41]);
        let key = framing.byte_stream(&[0, 0, 0, 2, 0x65, 7]);
        assert_eq!(key[..sets.len()], sets);
        assert_eq!(key[sets.len()..], [0, 0, 0, 1, 0x65, 7]);
    }

    #[test]
    fn byte_streams_stay_as_they_are() {
        for header in [&[][..], &[0, 0, 0, 1, 0x67], &[1, 66]] {
            assert_eq!(Framing::of(header), Framing::Stream);
        }
        assert_eq!(Framing::Stream.byte_stream(&[0, 0, 1, 0x65]), [0, 0, 1, 0x65]);
    }

    #[test]
    fn any_header_and_any_unit_give_no_more_than_they_hold() {
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut header: Vec<u8> = (0..random.usize(0..40)).map(|_| random.u8(0..8)).collect();
            if let Some(first) = header.first_mut() {
                *first = 1;
            }
            let unit: Vec<u8> = (0..random.usize(0..80))
                .map(|_| random.u8(..) >> random.u8(0..8))
                .collect();
            let stream = Framing::of(&header).byte_stream(&unit);
            // A start code is at most four bytes where a length is at least one.
            assert!(stream.len() <= 4 * unit.len() + 2 * header.len(), "seed {seed}");
        }
    }
}
