//! Protected RTP and RTCP, whoever sends it; what has to hold is said in `src/`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| patchcord_fuzz::srtp::exercise(input));
