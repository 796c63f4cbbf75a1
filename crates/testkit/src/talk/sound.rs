//! Sounds with names, so that a talk says `sine 160` instead of 320 bytes.

use patchcord_core::media::{Encoding, MediaFormat, g711::Law};

/// Amplitude and pitch of the `sine` sound.
const SINE_AMPLITUDE: f64 = 1_000.0;
const SINE_HZ: f64 = 400.0;

/// Reads a sound, such as `sine 160 from 80`, into bytes of `format`.
///
/// # Errors
/// A sentence that names what is possible.
pub(super) fn parse(words: &[&str], format: MediaFormat) -> Result<Vec<u8>, String> {
    if let Some(then) = words.iter().position(|word| *word == "then") {
        let (first, rest) = words.split_at(then);
        return Ok([parse(first, format)?, parse(&rest[1..], format)?].concat());
    }
    let (samples, from) = match words {
        ["hex", digits] => return hex(digits),
        ["hex"] => return Ok(Vec::new()),
        ["base64", text] => {
            return base64_simd::STANDARD.decode_to_vec(text).map_err(|error| format!("{text}: {error}"));
        }
        [_, samples] => (number(samples)?, 0),
        [_, samples, "from", from] => (number(samples)?, number(from)?),
        _ => return Err(unknown(words)),
    };
    let sample: Box<dyn Fn(usize) -> i16> = match words[0] {
        "sine" => Box::new(move |at| sine(from + at, format.sample_rate)),
        "count" => Box::new(move |at| count(from + at)),
        "silence" => return Ok(vec![format.silence_byte(); samples * format.bytes_per_sample()]),
        _ => return Err(unknown(words)),
    };
    let mut bytes = Vec::with_capacity(samples * 2);
    (0..samples).for_each(|at| write_sample(sample(at), format.encoding, &mut bytes));
    Ok(bytes)
}

/// Names a sound, or gives its bytes as `hex`.
pub(super) fn describe(bytes: &[u8], format: MediaFormat) -> String {
    name(bytes, format).unwrap_or_else(|| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("hex {digits}").trim_end().to_owned()
    })
}

/// Names a sound if it has a name other than its bytes, silence behind it included.
pub(super) fn name(bytes: &[u8], format: MediaFormat) -> Option<String> {
    let silent = bytes.iter().rev().take_while(|byte| **byte == format.silence_byte()).count();
    let silence = silent / format.bytes_per_sample();
    let (sound, _) = bytes.split_at(bytes.len() - silence * format.bytes_per_sample());
    let padded = || Some(format!("{} then silence {silence}", name_whole(sound, format)?));
    name_whole(bytes, format).or_else(|| padded().filter(|_| silence > 0))
}

fn name_whole(bytes: &[u8], format: MediaFormat) -> Option<String> {
    let size = format.bytes_per_sample();
    if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
        return None;
    }
    let samples = bytes.len() / size;
    let period = usize::try_from(format.sample_rate).ok()? / SINE_HZ as usize;
    let counted = bytes.first_chunk().map_or(0, |first| i16::from_le_bytes(*first) as u16);
    std::iter::once(format!("silence {samples}"))
        .chain((0..period.max(1)).map(|from| with_start("sine", samples, from)))
        .chain(std::iter::once(with_start("count", samples, usize::from(counted))))
        .filter(|sound| samples > 1 || sound.starts_with("silence"))
        .find(|sound| {
            let words: Vec<&str> = sound.split(' ').collect();
            parse(&words, format).is_ok_and(|meant| meant == bytes)
        })
}

/// Replaces `<base64 SOUND>` and `<samples SOUND>` in a message by what they stand for.
///
/// # Errors
/// A sentence about a sound that does not exist.
pub(super) fn expand(message: &str, format: MediaFormat) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = message;
    while let Some((start, kind)) =
        ["<base64 ", "<samples "].iter().filter_map(|kind| rest.find(kind).map(|at| (at, *kind))).min()
    {
        let (before, after) = (&rest[..start], &rest[start + kind.len()..]);
        let end = after.find('>').ok_or_else(|| format!("`{kind}` is not closed by `>`"))?;
        let words: Vec<&str> = after[..end].split_whitespace().collect();
        text.push_str(before);
        if kind == "<base64 " {
            text.push_str(&base64_simd::STANDARD.encode_to_string(parse(&words, format)?));
        } else {
            let bytes = parse(&words, MediaFormat::linear16(format.sample_rate))?;
            text.push_str(&sample_list(&bytes));
        }
        rest = &after[end + 1..];
    }
    text.push_str(rest);
    Ok(text)
}

/// The reverse of [`expand`] for every string and list in a JSON message that is a sound with a name.
pub(super) fn fold(message: &str, format: MediaFormat) -> String {
    let mut text = String::new();
    let mut rest = message;
    while let Some(at) = rest.find(['"', '[']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = if rest.starts_with('"') {
            super::words::quoted_len(rest).unwrap_or(rest.len())
        } else {
            rest.find(']').map_or(1, |end| end + 1)
        };
        match folded(&rest[..len], format) {
            Some(named) => {
                text.push_str(&named);
                rest = &rest[len..];
            }
            None => {
                let kept = if rest.starts_with('[') { 1 } else { len };
                text.push_str(&rest[..kept]);
                rest = &rest[kept..];
            }
        }
    }
    text.push_str(rest);
    text
}

fn folded(token: &str, format: MediaFormat) -> Option<String> {
    let inner = token.get(1..token.len().checked_sub(1)?)?;
    if token.starts_with('"') {
        if inner.len() < FOLDED_BASE64_CHARS_MIN {
            return None;
        }
        let bytes = base64_simd::STANDARD.decode_to_vec(inner).ok()?;
        return Some(format!("\"<base64 {}>\"", name(&bytes, format)?));
    }
    let samples: Vec<i16> =
        inner.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    Some(format!("[<samples {}>]", name(&bytes, MediaFormat::linear16(format.sample_rate))?))
}

fn sample_list(bytes: &[u8]) -> String {
    let samples = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]).to_string());
    samples.collect::<Vec<_>>().join(",")
}

fn with_start(sound: &str, samples: usize, from: usize) -> String {
    if from == 0 { format!("{sound} {samples}") } else { format!("{sound} {samples} from {from}") }
}

fn sine(at: usize, rate: u32) -> i16 {
    let turns = at as f64 * SINE_HZ / f64::from(rate.max(1));
    (SINE_AMPLITUDE * (turns.fract() * std::f64::consts::TAU).sin()) as i16
}

/// Counts in 16 bits and begins again.
fn count(at: usize) -> i16 {
    (at % 65_536) as u16 as i16
}

fn write_sample(sample: i16, encoding: Encoding, to: &mut Vec<u8>) {
    match encoding {
        Encoding::Linear16 => to.extend_from_slice(&sample.to_le_bytes()),
        Encoding::Pcmu => to.push(Law::Mu.encode_sample(sample)),
        Encoding::Pcma => to.push(Law::A.encode_sample(sample)),
    }
}

fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{digits}` is not an even number of hexadecimal digits");
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong()))
        .collect()
}

fn number(word: &str) -> Result<usize, String> {
    word.parse()
        .ok()
        .filter(|number| *number <= SOUND_SAMPLES_MAX)
        .ok_or_else(|| format!("`{word}` is no number of samples"))
}

fn unknown(words: &[&str]) -> String {
    format!(
        "`{}` is no sound: expected sine N or count N (from K), silence N, hex …, base64 …, or two of them with `then` between",
        words.join(" ")
    )
}

/// Shorter strings are never taken for audio.
const FOLDED_BASE64_CHARS_MIN: usize = 16;

/// Samples in one sound.
const SOUND_SAMPLES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_is_recognised_by_the_name_that_made_it() {
        for format in [MediaFormat::linear16(8_000), MediaFormat::linear16(24_000), MediaFormat::PCMU_8K] {
            for sound in
                ["sine 160", "sine 80 from 7", "silence 80", "sine 7 then silence 73", "hex 0102030405"]
            {
                let words: Vec<&str> = sound.split(' ').collect();
                assert_eq!(describe(&parse(&words, format).unwrap(), format), sound, "{format}");
            }
        }
        let linear = MediaFormat::linear16(8_000);
        let words = ["count", "5", "from", "40000"];
        assert_eq!(describe(&parse(&words, linear).unwrap(), linear), "count 5 from 40000");
    }

    #[test]
    fn messages_are_expanded_and_folded_again() {
        let linear = MediaFormat::linear16(8_000);
        let message =
            r#"{"a":["x",1],"samples":[<samples sine 80>],"payload":"<base64 count 80>","z":"short"}"#;
        let expanded = expand(message, linear).unwrap();
        assert!(expanded.contains("[0,309,587,809,951,1000,"), "{expanded}");
        assert_eq!(fold(&expanded, linear), message);
        assert!(expand("<base64 sine", linear).is_err());
    }
}
