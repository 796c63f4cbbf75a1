//! Mappings of the dialect `custom`; what has to hold is said in `src/`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| patchcord_fuzz::mapping::exercise(input));
