//! What the network abstraction layer tells of an access unit without decoding it (ITU-T H.264 section 7.3.1, Annex B).

/// The unit types of the NAL units in `unit`, in order.
pub(crate) fn unit_types(unit: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut place = 0;
    std::iter::from_fn(move || {
        while let Some(&last) = unit.get(place + 2) {
            match (unit[place], unit[place + 1], last) {
                (0, 0, 1) => {
                    place += 3;
                    return unit.get(place).map(|header| header & 0x1f);
                }
                // The third byte cannot belong to a start code that begins before it.
                (_, _, 2..) => place += 3,
                _ => place += 1,
            }
        }
        None
    })
}

/// Whether this access unit (Annex B) can be decoded without the ones before it: it holds an IDR slice.
pub fn is_key(unit: &[u8]) -> bool {
    unit_types(unit).any(|kind| kind == 5)
}

/// Whether it holds any part of a picture, or only parameter sets and the like.
pub(crate) fn has_picture(unit: &[u8]) -> bool {
    unit_types(unit).any(|kind| (1..=5).contains(&kind))
}

/// Whether any slice of this access unit (Annex B) is predicted from other pictures: where none is, there are no vectors.
pub fn is_predicted(unit: &[u8]) -> bool {
    slices(unit).any(|slice| !matches!(slice_type(slice), Some(2 | 4 | 7 | 9)))
}

/// Whether later units may refer to this one: `nal_ref_idc` (section 7.4.1) of its first slice.
pub(crate) fn is_reference(unit: &[u8]) -> bool {
    let slice = unit
        .windows(4)
        .find(|window| window[..3] == [0, 0, 1] && matches!(window[3] & 0x1f, 1 | 2 | 5));
    slice.is_some_and(|slice| slice[3] & 0x60 != 0)
}

/// What follows the header byte of each slice in `unit` that says how it is coded.
fn slices(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = unit.windows(4).enumerate();
    starts
        .filter(|(_, window)| window[..3] == [0, 0, 1] && matches!(window[3] & 0x1f, 1 | 2 | 5))
        .filter_map(|(at, _)| unit.get(at + 4..))
}

/// What follows the header byte of the first NAL unit of a type that is `wanted`, up to the end of the access unit.
pub(super) fn body(unit: &[u8], wanted: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let found = |window: &[u8]| window[..3] == [0, 0, 1] && wanted(window[3] & 0x1f);
    let at = unit.windows(4).position(found)?;
    unit.get(at + 4..)
}

/// `slice_type` (table 7-6) of a slice header, which it begins after the first macroblock's number.
fn slice_type(header: &[u8]) -> Option<u32> {
    let mut bits = Bits::new(header);
    bits.exp_golomb()?;
    bits.exp_golomb()
}

/// Bits of a NAL unit's body, one by one; the bytes that only keep start codes apart (section 7.4.1) are left out.
pub(super) struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    zeros: u32,
    byte: u8,
    left: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(body: &'a [u8]) -> Bits<'a> {
        Bits {
            bytes: body.iter(),
            zeros: 0,
            byte: 0,
            left: 0,
        }
    }

    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.byte = *self.bytes.next()?;
            if self.zeros >= 2 && self.byte == 3 {
                (self.byte, self.zeros) = (*self.bytes.next()?, 0);
            }
            self.zeros = if self.byte == 0 { self.zeros + 1 } else { 0 };
            self.left = 8;
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    /// The next `count` bits, 32 at most; none where they end before.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |number, _| Some(number << 1 | self.bit()?))
    }

    /// One number of section 9.1; none where the bits end, or it has more than 16.
    pub(super) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 16 {
                return None;
            }
        }
        Some((1 << zeros | self.take(zeros)?) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_slice_is_read_behind_its_first_macroblock() {
        // First macroblock 0 (`1`), then the type: 5 is `00110`, 7 is `0001000`, 0 is `1`, 2 is `011`.
        for (bits, predicted) in [
            (0b1001_1000, true),
            (0b1000_1000, false),
            (0b1100_0000, true),
            (0b1011_0000, false),
        ] {
            assert_eq!(is_predicted(&[0, 0, 1, 0x41, bits, 0x80]), predicted, "{bits:b}");
        }
        assert!(!is_predicted(&[0, 0, 1, 0x67, 0xff]), "no slice");
    }

    #[test]
    fn bytes_that_keep_start_codes_apart_are_left_out() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 7]);
        assert_eq!(
            (bits.take(24), bits.take(32), bits.take(8)),
            (Some(1), Some(0), Some(7))
        );
        assert_eq!(bits.take(1), None);
        assert_eq!(Bits::new(&[0, 0, 0, 0]).exp_golomb(), None);
        assert_eq!(Bits::new(&[0b0001_0100]).exp_golomb(), Some(9));
    }

    #[test]
    fn a_unit_is_a_reference_when_its_slices_are() {
        assert!(is_reference(&[0, 0, 1, 0x09, 0xf0, 0, 0, 1, 0x41, 0x80]));
        assert!(!is_reference(&[0, 0, 1, 0x67, 0xff, 0, 0, 1, 0x01, 0x80]));
    }

    /// The same by the letter of Annex B: every place is looked at.
    fn by_the_letter(unit: &[u8]) -> Vec<u8> {
        let starts = unit.windows(4).filter(|window| window[..3] == [0, 0, 1]);
        starts.map(|window| window[3] & 0x1f).collect()
    }

    #[test]
    fn start_codes_of_three_and_four_bytes_are_found() {
        let unit = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 9, 0, 0, 0, 1, 0x65, 7];
        assert_eq!(unit_types(&unit).collect::<Vec<_>>(), [7, 8, 5]);
        assert!(is_key(&unit));
        assert!(!is_key(&unit[..12]));
        assert!(!has_picture(&unit[..12]));
    }

    #[test]
    fn any_bytes_are_read_by_the_letter() {
        for seed in 0..2000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let unit: Vec<u8> = (0..random.usize(0..64)).map(|_| random.u8(0..4)).collect();
            assert_eq!(
                unit_types(&unit).collect::<Vec<_>>(),
                by_the_letter(&unit),
                "seed {seed}: {unit:?}"
            );
        }
    }
}
