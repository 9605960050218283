//! The samples of a cell in registers of 32 bytes.

use core::arch::x86_64::__m256i;

use pulp::cast;
use pulp::x86::V3;

use super::{CELL, LIFT, LINES, Sampling};

/// The processor has them.
pub(super) struct Registers(pub(super) V3);

/// Of two lines, what the first and the second tap meet of each of their four samples.
const FIRST: [u8; 16] = [0, 1, 1, 2, 2, 3, 3, 4, 8, 9, 9, 10, 10, 11, 11, 12];

/// And the third and the fourth.
const LAST: [u8; 16] = [2, 3, 3, 4, 4, 5, 5, 6, 10, 11, 11, 12, 12, 13, 13, 14];

impl Sampling for Registers {
    #[inline(always)]
    fn cell(&self, lines: &[[u8; LINES]; LINES], across: [i16; 4], down: [i16; 4]) -> [u8; CELL * CELL] {
        let (avx, avx2) = (self.0.avx, self.0.avx2);
        let [upper, lower]: [__m256i; 2] = cast(*lines);
        let two = |one: i16, other: i16| avx._mm256_set1_epi16((one & 0xff) | other << 8);
        let (first_taps, last_taps) = (two(across[0], across[1]), two(across[2], across[3]));
        let [first, last]: [__m256i; 2] = [cast([FIRST; 2]), cast([LAST; 2])];
        let along = |lines: __m256i| {
            let one = avx2._mm256_maddubs_epi16(avx2._mm256_shuffle_epi8(lines, first), first_taps);
            let other = avx2._mm256_maddubs_epi16(avx2._mm256_shuffle_epi8(lines, last), last_taps);
            let sum = avx2._mm256_add_epi16(avx2._mm256_add_epi16(one, other), avx._mm256_set1_epi16(16));
            avx2._mm256_srai_epi16::<5>(sum)
        };
        // A line has 64 bits now. Those that each tap meets: from the first on, from the second on, and so forth.
        let (upper, lower) = (along(upper), along(lower));
        let middle = avx2._mm256_permute2x128_si256::<0x21>(upper, lower);
        let met = [
            upper,
            avx2._mm256_alignr_epi8::<8>(middle, upper),
            middle,
            avx2._mm256_alignr_epi8::<8>(lower, middle),
        ];
        let mut sum = avx._mm256_set1_epi16((LIFT + 64).cast_signed());
        for (met, tap) in met.into_iter().zip(down) {
            sum = avx2._mm256_add_epi16(sum, avx2._mm256_mullo_epi16(met, avx._mm256_set1_epi16(tap)));
        }
        let lift = avx._mm256_set1_epi16((LIFT >> 7).cast_signed());
        let codes = avx2._mm256_subs_epu16(avx2._mm256_srli_epi16::<7>(sum), lift);
        let [a, _, b, _]: [[u8; 8]; 4] = cast(avx2._mm256_packus_epi16(codes, codes));
        cast([a, b])
    }
}
