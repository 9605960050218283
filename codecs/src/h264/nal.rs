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

#[cfg(test)]
mod tests {
    use super::*;

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
