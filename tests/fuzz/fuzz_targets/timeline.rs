#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hearsight_tests::fuzz::targets::timeline(bytes));
