//! A caller in code: a real SIP phone that speaks, listens and measures, alone or many at once.
//!
//! `patchcord call` and `bench` are made of it, and so are the tests. It knows nothing of the gateway: what it
//! dials may be any SIP endpoint.

mod agreement;
pub mod call_log;
pub mod call_table;
pub mod conversation;
pub mod ear;
pub mod frame_meter;
pub mod histogram;
pub mod line;
pub mod load;
pub mod load_table;
pub mod mouth;
pub mod pace;
pub mod process_figures;
mod pure_tone;
pub mod reception;
pub mod scratch_folder;
pub mod speech;
pub mod stereo_tape;
pub mod voice;
pub mod watermark;
