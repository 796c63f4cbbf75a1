//! The dialect `openai-realtime` at both ends; what has to hold is said in `src/`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| patchcord_fuzz::dialect::exercise("openai-realtime", input));
