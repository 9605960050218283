//! Whether what is missing between two access units was referred to by anything (ITU-T H.264 section 7.4.3, `frame_num`).
//!
//! Pictures that others refer to are numbered one by one; those that nobody refers to have the number of the next and leave no hole in
//! it. So senders with temporal layers may lose half of their pictures, and what came is decoded as if nothing had been lost.

use hearsight_core::time::{MediaTime, Span};

use super::nal::{self, Bits};

/// No more pictures that others refer to come in a second: numbers begin anew after as few as sixteen, and a hole of just as many
/// would not show.
const MOST_PER_SECOND: i64 = 60;
/// Profiles whose parameter sets say more before the length of numbers than those that senders of live video use.
const HIGH: [u32; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];

/// Follows the numbers of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Continuity {
    /// Bits of a number, as the newest parameter set has it; none where it says more than is understood here.
    bits: Option<u32>,
    /// The number that the next picture has if nothing is missing, and when the one before was captured.
    next: Option<(u32, MediaTime)>,
}

impl Continuity {
    /// Takes the next access unit (Annex B) that came. Whether nothing that it, or any later one, refers to can be missing before it;
    /// never where that can't be known.
    pub fn follows(&mut self, unit: &[u8], at: MediaTime) -> bool {
        if let Some(parameters) = nal::body(unit, |kind| kind == 7) {
            self.bits = number_bits(parameters);
            self.next = None;
        }
        let Some(slice) = nal::body(unit, |kind| matches!(kind, 1 | 5)) else {
            return false;
        };
        let key = nal::is_key(unit);
        let number = self.bits.and_then(|bits| number(slice, bits));
        let (Some(bits), Some(number)) = (self.bits, number) else {
            self.next = None;
            return key;
        };
        let count = 1_u32 << bits;
        let soon = Span::from_nanos(i64::from(count) * 1_000_000_000 / MOST_PER_SECOND);
        let follows = self
            .next
            .is_some_and(|(next, before)| next == number && at - before < soon);
        let step = u32::from(nal::is_reference(unit));
        self.next = Some(((number + step) % count, at));
        key || follows
    }
}

/// `log2_max_frame_num_minus4 + 4` of a sequence parameter set (section 7.3.2.1.1); none for profiles that have more before it.
fn number_bits(parameters: &[u8]) -> Option<u32> {
    let mut bits = Bits::new(parameters);
    let profile = bits.take(8)?;
    // Constraints and level.
    bits.take(16)?;
    bits.exp_golomb()?;
    if HIGH.contains(&profile) {
        // chroma_format_idc: anything but 4:2:0 is refused elsewhere. Then depths, a flag, and perhaps matrices.
        let plain = bits.exp_golomb()? == 1 && bits.exp_golomb()? == 0 && bits.exp_golomb()? == 0;
        if !plain || bits.take(2)? != 0 {
            return None;
        }
    }
    let more = bits.exp_golomb()?;
    (more <= 12).then_some(more + 4)
}

/// `frame_num` of a slice header (section 7.3.3), after the first macroblock, the type and the parameter set.
fn number(slice: &[u8], count: u32) -> Option<u32> {
    let mut bits = Bits::new(slice);
    for _ in 0..3 {
        bits.exp_golomb()?;
    }
    bits.take(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits as bytes, the last filled up.
    fn bytes(header: u8, bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        let whole = bits
            .chunks(8)
            .map(|byte| byte.iter().enumerate().fold(0, |all, (at, bit)| all | bit << (7 - at)));
        [0, 0, 1, header].into_iter().chain(whole).chain([0x80]).collect()
    }

    /// Constrained baseline, set 0 (`1`), numbers of four bits (`1`).
    fn parameters() -> Vec<u8> {
        bytes(0x67, "01000010 11100000 00011111 1 1 1 1")
    }

    fn slice(reference: bool, number: u32) -> Vec<u8> {
        bytes(if reference { 0x41 } else { 0x01 }, &format!("1 1 1 {number:04b} 1011"))
    }

    fn key() -> Vec<u8> {
        let mut unit = parameters();
        unit.extend(bytes(0x65, "1 011 1 0000 1011"));
        unit
    }

    #[test]
    fn what_nobody_refers_to_leaves_no_hole() {
        // A key picture, then pairs of one that others refer to and one that nobody does.
        let mut units = vec![(key(), true)];
        for pair in 0..40_u32 {
            units.push((slice(false, (pair + 1) % 16), false));
            units.push((slice(true, (pair + 1) % 16), true));
        }
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut continuity = Continuity::default();
            let mut hole = false;
            for (place, (unit, reference)) in units.iter().enumerate() {
                let lost = place > 0 && random.u8(0..5) == 0;
                if lost {
                    hole |= reference;
                    continue;
                }
                let at = MediaTime::from_millis(place as i64 * 17);
                let follows = continuity.follows(unit, at);
                assert_eq!(follows, !hole, "seed {seed}, unit {place}");
                hole = false;
            }
        }
    }

    #[test]
    fn a_long_hole_and_an_unknown_profile_are_not_trusted() {
        let mut continuity = Continuity::default();
        assert!(
            !continuity.follows(&slice(true, 1), MediaTime::ZERO),
            "no parameters yet"
        );
        assert!(
            continuity.follows(&key(), MediaTime::ZERO),
            "a key picture needs nothing"
        );
        assert!(
            !continuity.follows(&slice(true, 1), MediaTime::from_millis(300)),
            "sixteen might be missing"
        );
        assert!(continuity.follows(&slice(true, 2), MediaTime::from_millis(333)));
        // High with matrices: where the numbers are is not known.
        let odd = bytes(0x67, "01100100 00000000 00011111 1 010 1 1 0 1");
        assert!(!continuity.follows(&[odd, slice(true, 3)].concat(), MediaTime::from_millis(366)));
        let high = bytes(0x67, "01100100 00000000 00011111 1 010 1 1 0 0 1 1");
        assert!(continuity.follows(
            &[high, bytes(0x65, "1 011 1 0000 1")].concat(),
            MediaTime::from_millis(400)
        ));
        assert!(continuity.follows(&slice(false, 1), MediaTime::from_millis(433)));
    }

    #[test]
    fn any_bytes_are_taken() {
        for seed in 0..3_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut continuity = Continuity::default();
            continuity.follows(&key(), MediaTime::ZERO);
            let unit: Vec<u8> = (0..random.usize(0..40))
                .map(|_| random.u8(..) & random.u8(..))
                .collect();
            let unit = [&[0, 0, 1, [0x67, 0x41, 0x65][random.usize(0..3)]][..], &unit].concat();
            continuity.follows(&unit, MediaTime::from_millis(33));
        }
    }
}
