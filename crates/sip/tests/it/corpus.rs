//! Every checked-in fuzz input and every torture message, replayed through the laws of its target on any compiler
//! (`make fuzz` looks for more).

use std::path::Path;

#[path = "../../../../fuzz/src/sdp.rs"]
mod sdp;
#[path = "../../../../fuzz/src/sip.rs"]
mod sip;

/// Gives every input of a folder, in the order of their names, to a law.
fn replay(folder: &str, exercise: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut inputs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "no inputs in {}", folder.display());
    for path in inputs {
        // The last name in the output of a failed test is the input that failed.
        eprintln!("{}", path.display());
        exercise(&std::fs::read(&path).unwrap());
    }
}

#[test]
fn sip_inputs_are_framed_judged_and_forgotten() {
    replay("../../fuzz/seeds/sip", sip::exercise);
    replay("tests/data/rfc4475", sip::exercise);
}

#[test]
fn sdp_inputs_are_refused_or_answered_line_by_line() {
    replay("../../fuzz/seeds/sdp", sdp::exercise);
    replay("tests/data/rfc4475", sdp::exercise);
}
