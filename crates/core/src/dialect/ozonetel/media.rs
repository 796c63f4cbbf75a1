//! Media messages of Ozonetel: 16-bit samples as a JSON list of numbers, both ways, without allocating.
//!
//! The reader is a scanner for messages written the usual way (no escapes, whole numbers); anything else goes to
//! `serde_json`, with the same meaning. Source: seed 001 §2.

use serde_json::value::RawValue;

use super::wire::Packet;
use crate::dialect::Malformed;
use crate::dialect::json::{Number, write_string};

/// A media message but its samples' values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Media<'a> {
    /// What a playback acknowledgement names.
    pub(super) seqid: Option<&'a str>,
    pub(super) sample_rate: u64,
    bits_per_sample: u64,
    channel_count: u64,
    /// The JSON list, brackets included.
    samples: &'a str,
}

impl<'a> Media<'a> {
    /// Reads a media message that is written the usual way; `None` for anything else, whatever it is.
    pub(super) fn scan(text: &'a str) -> Option<Self> {
        let mut scanner = Scanner { text, at: 0 };
        let (mut event, mut kind) = (None, None);
        let mut media =
            Self { seqid: None, sample_rate: 8_000, bits_per_sample: 16, channel_count: 1, samples: "" };
        scanner.object(|scanner, key| {
            match key {
                "event" => event = Some(scanner.string()?),
                "type" => kind = Some(scanner.string()?),
                "ucid" => drop(scanner.string()?),
                "seqid" => media.seqid = Some(scanner.string()?),
                "data" => scanner.object(|scanner, key| media.scan_data(scanner, key))?,
                _ => return None,
            }
            Some(())
        })?;
        // `type` says what the message is only where `event` does not.
        let is_media = event.or(kind) == Some("media");
        (scanner.is_at_end() && is_media && !media.samples.is_empty()).then_some(media)
    }

    fn scan_data(&mut self, scanner: &mut Scanner<'a>, key: &str) -> Option<()> {
        match key {
            "samples" => self.samples = scanner.flat_list()?,
            "bitsPerSample" => self.bits_per_sample = scanner.number()?,
            "sampleRate" => self.sample_rate = scanner.number()?,
            "channelCount" => self.channel_count = scanner.number()?,
            "numberOfFrames" => drop(scanner.number()?),
            "type" => drop(scanner.string()?),
            _ => return None,
        }
        Some(())
    }

    /// Reads `data` of a media message however it is written.
    ///
    /// # Errors
    /// The field that is missing or wrong.
    pub(super) fn parse(data: Option<&'a RawValue>, seqid: Option<&'a str>) -> Result<Self, Malformed> {
        let data = data.ok_or(Malformed::Missing("data"))?;
        let data: Packet<'a> = serde_json::from_str(data.get()).map_err(|_| Malformed::Field("data"))?;
        let number = |field: Option<&RawValue>, name, when_missing| match field {
            None => Ok(when_missing),
            Some(raw) => {
                serde_json::from_str(raw.get()).map(|Number(n)| n).map_err(|_| Malformed::Field(name))
            }
        };
        Ok(Self {
            seqid,
            sample_rate: number(data.sample_rate, "data.sampleRate", 8_000)?,
            bits_per_sample: number(data.bits_per_sample, "data.bitsPerSample", 16)?,
            channel_count: number(data.channel_count, "data.channelCount", 1)?,
            samples: data.samples.ok_or(Malformed::Missing("data.samples"))?.get(),
        })
    }

    /// Appends the samples as 16-bit little-endian bytes; values beyond 16 bits become the nearest.
    ///
    /// # Errors
    /// Audio that is not 16-bit mono, or a list that is not of numbers.
    pub(super) fn append_samples(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.bits_per_sample != 16 {
            return Err(Malformed::Audio("samples of other than 16 bits"));
        }
        if self.channel_count != 1 {
            return Err(Malformed::Audio("other than one channel"));
        }
        let start = to.len();
        if append_whole_numbers(self.samples, to).is_some() {
            return Ok(());
        }
        to.truncate(start);
        let samples: Vec<f64> =
            serde_json::from_str(self.samples).map_err(|_| Malformed::Field("data.samples"))?;
        // A cast from float saturates, so that the nearest value within 16 bits is taken.
        samples.iter().for_each(|sample| to.extend_from_slice(&(sample.round() as i16).to_le_bytes()));
        Ok(())
    }
}

/// Writes the beginning of all media messages of a call, up to the samples.
pub(super) fn media_head(ucid: &str) -> Vec<u8> {
    let mut head = br#"{"event":"media","type":"media","ucid":"#.to_vec();
    write_string(&mut head, ucid);
    head.extend_from_slice(br#","data":{"samples":["#);
    head
}

/// Writes one message of [`PACKET_SAMPLES`] samples: those of `audio`, then silence.
pub(super) fn write_media(to: &mut Vec<u8>, head: &[u8], audio: &[u8]) {
    to.reserve(head.len() + PACKET_SAMPLES * SAMPLE_CHARS_MAX + TAIL.len());
    to.extend_from_slice(head);
    let samples = audio.chunks_exact(2).map(|pair| match pair {
        [low, high] => i16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    for sample in samples.chain(std::iter::repeat(0)).take(PACKET_SAMPLES) {
        write_sample(to, sample);
    }
    // The comma behind the last sample gives way to what follows the list.
    to.pop();
    to.extend_from_slice(TAIL);
}

/// Writes one sample and a comma.
fn write_sample(to: &mut Vec<u8>, sample: i16) {
    let mut chars = [b','; SAMPLE_CHARS_MAX];
    let mut rest = sample.unsigned_abs();
    let mut start = SAMPLE_CHARS_MAX - 1;
    loop {
        start -= 1;
        chars[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if sample < 0 {
        start -= 1;
        chars[start] = b'-';
    }
    to.extend_from_slice(&chars[start..]);
}

/// Appends the whole numbers of a JSON list; `None` at anything that is not one.
fn append_whole_numbers(list: &str, to: &mut Vec<u8>) -> Option<()> {
    let mut rest = list.trim_ascii().strip_prefix('[')?.strip_suffix(']')?.as_bytes().trim_ascii();
    // An upper bound: each sample has a digit and, but the last, a comma.
    to.reserve(rest.len() + 1);
    if rest.is_empty() {
        return Some(());
    }
    loop {
        let negative = rest.first() == Some(&b'-');
        rest = rest.get(usize::from(negative)..)?;
        let mut value = 0;
        let mut digits = 0;
        while let Some(digit) =
            rest.get(digits).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)
        {
            value = (value * 10 + i32::from(digit)).min(VALUE_MAX);
            digits += 1;
        }
        if digits == 0 {
            return None;
        }
        let signed = if negative { -value } else { value };
        let sample = signed.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        to.extend_from_slice(&sample.to_le_bytes());
        rest = match rest.get(digits..)? {
            [b',', after @ ..] => after.trim_ascii_start(),
            after => match after.trim_ascii_start() {
                [] => return Some(()),
                [b',', after @ ..] => after.trim_ascii_start(),
                _ => return None,
            },
        };
    }
}

/// Reads JSON that is written the usual way, from left to right; every step is `None` at anything else.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Reads an object; `field` reads the value of each key.
    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        loop {
            let key = self.string()?;
            self.take(b':')?;
            field(self, key)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    /// Reads a string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let rest = self.text.get(self.at..)?;
        let len = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
        let string = rest.get(..len)?;
        self.at += len;
        self.take(b'"')?;
        Some(string)
    }

    /// Reads a whole number of at most nine digits.
    fn number(&mut self) -> Option<u64> {
        self.skip_space();
        let rest = self.text.get(self.at..)?;
        let len = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.at += len;
        rest.get(..len).filter(|digits| (1..=9).contains(&digits.len()))?.parse().ok()
    }

    /// Reads a list that holds neither strings nor lists nor objects.
    fn flat_list(&mut self) -> Option<&'a str> {
        self.skip_space();
        let rest = self.text.get(self.at..)?;
        let len = 1 + rest.bytes().position(|byte| byte == b']')?;
        self.at += len;
        rest.get(..len).filter(|list| list.starts_with('['))
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        self.skip_space();
        (self.text.as_bytes().get(self.at) == Some(&wanted)).then(|| self.at += 1)
    }

    fn skip_space(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| is_space(**byte)).count();
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }
}

/// White space of RFC 8259 §2.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Samples of every message that we send: 10 ms at 8 kHz.
pub(super) const PACKET_SAMPLES: usize = 80;

const TAIL: &[u8] =
    br#"],"bitsPerSample":16,"sampleRate":8000,"channelCount":1,"numberOfFrames":80,"type":"data"}}"#;

/// `-32768,`
const SAMPLE_CHARS_MAX: usize = 7;

/// Beyond 16 bits, and times ten within 32.
const VALUE_MAX: i32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(text: &str) -> Result<Vec<i16>, Malformed> {
        let media = Media::scan(text).ok_or(Malformed::NotJson)?;
        let mut bytes = Vec::new();
        media.append_samples(&mut bytes)?;
        Ok(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
    }

    #[test]
    fn the_scanner_reads_every_sample_and_its_limits() {
        let text = r#" { "type" : "media", "ucid":"u", "data":{"samples":[ 0, -1 ,32767,-32768, 99999999999,-40000 ],
            "sampleRate":16000,"bitsPerSample":16,"channelCount":1,"numberOfFrames":6,"type":"data"}, "seqid":"s" } "#;
        assert_eq!(samples(text), Ok(vec![0, -1, 32_767, -32_768, 32_767, -32_768]));
        let media = Media::scan(text).unwrap();
        assert_eq!((media.sample_rate, media.seqid), (16_000, Some("s")));
        assert_eq!(samples(r#"{"event":"media","data":{"samples":[]}}"#), Ok(vec![]));
    }

    #[test]
    fn what_is_written_unusually_is_left_to_the_full_parser_and_what_is_no_media_to_others() {
        for text in [
            r#"{"event":"media","x":1,"data":{"samples":[1]}}"#,
            r#"{"event":"me\u0064ia","data":{"samples":[1]}}"#,
            r#"{"event":"start","type":"media","data":{"samples":[1]}}"#,
            r#"{"event":"media","data":{"samples":[1],"sampleRate":"8000"}}"#,
            r#"{"event":"media","data":{"samples":[1]}} x"#,
            r#"{"event":"media"}"#,
            r#"{"event":"media","data":{"samples":[1"#,
            "",
        ] {
            assert_eq!(Media::scan(text), None, "{text}");
        }
    }

    #[test]
    fn lists_that_hold_anything_but_numbers_are_refused() {
        for list in ["[1 2]", "[1,]", "[,1]", "[-]", "[null]", "[\"1\"]", "[[1]"] {
            let text = format!(r#"{{"event":"media","data":{{"samples":{list}}}}}"#);
            assert!(samples(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn fractions_are_rounded_and_clamped() {
        let raw: Box<RawValue> =
            serde_json::from_str(r#"{"samples":[0.6,-1e9,2.0],"sampleRate":"8000"}"#).unwrap();
        let media = Media::parse(Some(&raw), None).unwrap();
        let mut bytes = Vec::new();
        media.append_samples(&mut bytes).unwrap();
        assert_eq!(bytes, [1, 0, 0, 128, 2, 0]);
    }

    #[test]
    fn a_short_last_chunk_is_padded_to_eighty_samples() {
        let mut text = Vec::new();
        let audio: Vec<u8> =
            [i16::MIN, -1, 0, 7, i16::MAX].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        write_media(&mut text, &media_head("u\"1"), &audio);
        let text = String::from_utf8(text).unwrap();
        let start =
            r#"{"event":"media","type":"media","ucid":"u\"1","data":{"samples":[-32768,-1,0,7,32767,0,0,"#;
        assert!(text.starts_with(start), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["data"]["samples"].as_array().map(Vec::len), Some(PACKET_SAMPLES));
    }
}
