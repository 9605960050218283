//! Damage of the kinds that happen and that attackers like, chosen by a seeded generator.

/// No input is longer: readers are told of lengths far beyond it anyway.
pub const LONGEST: usize = 256 * 1024;

/// Numbers at the edges of their types, as text and as bytes.
const NUMBERS: [&[u8]; 12] = [
    b"0",
    b"-1",
    b"65536",
    b"4294967295",
    b"4294967296",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"1e400",
    b"NaN",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\0\0\0",
];

/// One of `seeds`, damaged in one to eight places.
pub fn any(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.choice(seeds).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..=8) {
        once(random, &mut bytes, seeds);
    }
    bytes.truncate(LONGEST);
    bytes
}

/// One place of damage.
pub fn once(random: &mut fastrand::Rng, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let part = part(random, bytes.len());
    match random.u8(0..9) {
        0 | 1 => {
            if let Some(byte) = random.choice(bytes.iter_mut()) {
                *byte ^= 1 << random.u8(0..8);
            }
        }
        2 | 3 => {
            if let Some(byte) = random.choice(bytes.iter_mut()) {
                *byte = random.u8(..);
            }
        }
        4 => drop(bytes.drain(part)),
        5 => bytes.truncate(part.end),
        6 => {
            let again = bytes[part.clone()].to_vec();
            bytes.splice(part.start..part.start, again);
        }
        7 => {
            let number = NUMBERS[random.usize(..NUMBERS.len())];
            let end = bytes.len().min(part.start + random.usize(0..=number.len()));
            bytes.splice(part.start..end, number.iter().copied());
        }
        _ => {
            if let Some(other) = random.choice(seeds) {
                let from = self::part(random, other.len());
                bytes.splice(part, other[from].iter().copied());
            }
        }
    }
}

/// A stretch of at most 64 of `length` bytes.
fn part(random: &mut fastrand::Rng, length: usize) -> std::ops::Range<usize> {
    let start = random.usize(..=length);
    start..length.min(start + random.usize(..=64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_does_the_same_damage_and_some_is_done() {
        let seeds = [b"v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\n".to_vec(), vec![0x80, 96, 0, 1]];
        let mut changed = 0;
        for seed in 0..1_000 {
            let damaged = || any(&mut fastrand::Rng::with_seed(seed), &seeds);
            assert_eq!(damaged(), damaged());
            changed += usize::from(!seeds.contains(&damaged()));
        }
        assert!(changed > 900, "only {changed} of 1000 differ");
        assert!(any(&mut fastrand::Rng::with_seed(1), &[]).len() <= LONGEST);
    }
}
