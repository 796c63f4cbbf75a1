//! Inputs as lines, so that a seed can be read and written by hand and a mutation moves whole steps.
//!
//! The first byte of a line says what it is; each target's module says which it knows.

/// The lines of an input, empty ones left out, at most [`STEPS_MAX`].
pub fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(STEPS_MAX)
}

/// Bytes that may hold a line feed: each is the line's byte xor the first one.
pub fn masked(line: &[u8]) -> Vec<u8> {
    let Some((mask, bytes)) = line.split_first() else { return Vec::new() };
    bytes.iter().map(|byte| byte ^ mask).collect()
}

/// The decimal number that a line begins with; 0 if there is none.
pub fn number(line: &[u8]) -> u64 {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).take(9);
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// Steps of one input: more would only be slower.
const STEPS_MAX: usize = 64;
