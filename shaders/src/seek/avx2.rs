//! The samples of a window in registers of 32 bytes: two lines in each.

use core::arch::x86_64::__m256i;

use pulp::cast;
use pulp::x86::V3;

use super::{Apart, Lines, Looks, Summing, WINDOW, Window};

/// The processor has them.
pub(super) struct Registers(pub(super) V3);

/// Eight samples of each of two lines, from the first, the second and the third on: each in 16 bits, what lies beyond being
/// zero.
const FROM: [[u8; 16]; 3] = [from(0), from(1), from(2)];

const fn from(first: u8) -> [u8; 16] {
    let mut places = [128; 16];
    let mut at = 0;
    while at < WINDOW {
        places[2 * at] = first + at as u8;
        at += 1;
    }
    places
}

/// What is left of each place between two samples, and what is right of it.
const BESIDE: [u8; 16] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8];

/// Two lines in each: of so many lines, half as many registers.
type Two<const N: usize> = [__m256i; N];

// Functions that are handed to others are compiled for any processor: so there are none, only loops.
impl Registers {
    #[inline(always)]
    fn from(&self, lines: __m256i, first: usize) -> __m256i {
        self.0.avx2._mm256_shuffle_epi8(lines, cast([FROM[first]; 2]))
    }

    /// From lines two by two, the second of one pair and the first of the next.
    #[inline(always)]
    fn odd(&self, pair: __m256i, next: __m256i) -> __m256i {
        self.0.avx2._mm256_permute2x128_si256::<0x21>(pair, next)
    }

    #[inline(always)]
    fn all(&self, number: i16) -> __m256i {
        self.0.avx._mm256_set1_epi16(number)
    }

    #[inline(always)]
    fn products(&self, one: &Two<4>, other: &Two<4>) -> __m256i {
        let avx2 = self.0.avx2;
        let mut sum = self.all(0);
        for at in 0..4 {
            sum = avx2._mm256_add_epi32(sum, avx2._mm256_madd_epi16(one[at], other[at]));
        }
        sum
    }

    /// The sums of four registers' numbers of 32 bits.
    #[inline(always)]
    fn sums(&self, [a, b, c, d]: [__m256i; 4]) -> [i32; 4] {
        let avx2 = self.0.avx2;
        let quarters = avx2._mm256_hadd_epi32(avx2._mm256_hadd_epi32(a, b), avx2._mm256_hadd_epi32(c, d));
        let other = avx2._mm256_permute2x128_si256::<1>(quarters, quarters);
        let [sums, _]: [[i32; 4]; 2] = cast(avx2._mm256_add_epi32(quarters, other));
        sums
    }
}

impl Summing for Registers {
    #[inline(always)]
    fn look(&self, lines: &Lines) -> Looks {
        let avx2 = self.0.avx2;
        let lines: Two<5> = cast(*lines);
        let (mut middle, mut beside) = ([self.all(0); 5], [self.all(0); 5]);
        for at in 0..5 {
            middle[at] = self.from(lines[at], 1);
            beside[at] = avx2._mm256_sub_epi16(self.from(lines[at], 2), self.from(lines[at], 0));
        }
        let [mut codes, mut across, mut down] = [[self.all(0); 4]; 3];
        for at in 0..4 {
            codes[at] = avx2._mm256_slli_epi16::<2>(self.odd(middle[at], middle[at + 1]));
            across[at] = self.odd(beside[at], beside[at + 1]);
            down[at] = avx2._mm256_sub_epi16(middle[at + 1], middle[at]);
        }
        let ones = [self.all(1); 4];
        let sums = [self.products(&across, &ones), self.products(&down, &ones)];
        let squares = [self.products(&across, &across), self.products(&across, &down)];
        let [x, y, across_squares, both] = self.sums([sums[0], sums[1], squares[0], squares[1]]);
        let [down_squares, ..] = self.sums([self.products(&down, &down); 4]);
        Looks {
            codes: cast(codes),
            slopes: [cast(across), cast(down)],
            sums: [x, y],
            squares: [across_squares, both, down_squares],
        }
    }

    #[inline(always)]
    fn compare(&self, window: &Window, lines: &Lines, right: u8, below: u8) -> Apart {
        let avx2 = self.0.avx2;
        let shares = self.all(i16::from(32 - right) | i16::from(right) << 8);
        let (upper, lower) = (self.all((32 - below).into()), self.all(below.into()));
        let lines: Two<5> = cast(*lines);
        let mut between = [self.all(0); 5];
        for at in 0..5 {
            let pairs = avx2._mm256_shuffle_epi8(lines[at], cast([BESIDE; 2]));
            let mixed = avx2._mm256_maddubs_epi16(pairs, shares);
            between[at] = avx2._mm256_srli_epi16::<3>(avx2._mm256_add_epi16(mixed, self.all(4)));
        }
        let codes: Two<4> = cast(window.looks.codes);
        let mut apart = [self.all(0); 4];
        for at in 0..4 {
            let next = self.odd(between[at], between[at + 1]);
            let one = avx2._mm256_mullo_epi16(between[at], upper);
            let mixed = avx2._mm256_add_epi16(one, avx2._mm256_mullo_epi16(next, lower));
            let sample = avx2._mm256_srli_epi16::<5>(avx2._mm256_add_epi16(mixed, self.all(16)));
            apart[at] = avx2._mm256_sub_epi16(sample, codes[at]);
        }
        let [across, down] = window.looks.slopes;
        let [sum, squares, x, y] = self.sums([
            self.products(&apart, &[self.all(1); 4]),
            self.products(&apart, &apart),
            self.products(&cast(across), &apart),
            self.products(&cast(down), &apart),
        ]);
        Apart {
            sum,
            squares,
            pulls: [x, y],
        }
    }
}
