//! Sound: formats, codecs, rate conversion, paced playout, concealment, tones and levels.
//!
//! Nothing here knows a wire or a call. Audio is bytes in a [`MediaFormat`]; every stateful part serves one
//! direction of one call, keeps its buffers, and allocates nothing per frame once it has warmed up.

mod conceal;
mod converter;
mod digit;
mod dtmf;
mod e_model;
mod format;
pub mod g711;
mod g722;
mod level;
mod line_codec;
mod line_coding;
mod loudness;
#[cfg(feature = "opus")]
mod opus;
mod pcm;
mod playout;
mod resample;
mod spread;
mod tone;
mod voice_activity;

pub use conceal::Concealer;
pub use converter::{ConvertError, Converter};
pub use digit::{Digit, DigitError};
pub use dtmf::{DetectedKey, DtmfDetector, DtmfTones};
pub use e_model::{Impairment, mean_opinion_score, rating};
pub use format::{Encoding, MediaFormat};
pub use g722::{G722Decoder, G722Encoder};
pub use level::{Level, SilenceGate};
pub use line_codec::LineCodec;
pub use line_coding::LineCoding;
pub use loudness::{loudness, peak};
#[cfg(feature = "opus")]
pub use opus::{OpusDecoder, OpusEncoder};
pub use pcm::{decode_samples, encode_samples};
pub use playout::{
    Heard, MARK_BYTES_MAX, MARKS_MAX, MarkDone, MarkOutcome, Playout, PlayoutCounts, PlayoutFull, Pulled,
    Pushed,
};
pub use resample::Resampler;
pub use spread::Spread;
pub use tone::SineTone;
pub use voice_activity::{SPEECH_MIN, SPEECH_PAUSE_MAX, SpeechEdge, VoiceActivity};
