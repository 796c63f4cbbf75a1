//! Every checked-in fuzz input, replayed through the laws of its target on any compiler (`make fuzz` looks for more).

use std::path::Path;

#[path = "../../../../fuzz/src/call.rs"]
mod call;
#[path = "../../../../fuzz/src/dialect.rs"]
mod dialect;
#[path = "../../../../fuzz/src/mapping.rs"]
mod mapping;
#[path = "../../../../fuzz/src/rtp.rs"]
mod rtp;
#[path = "../../../../fuzz/src/srtp.rs"]
mod srtp;
#[path = "../../../../fuzz/src/steps.rs"]
mod steps;

/// Gives every input of a target, in the order of their names, to its law.
fn replay(target: &str, exercise: impl Fn(&[u8])) {
    let folder = Path::new(SEEDS).join(target);
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
fn rtp_and_rtcp_inputs_are_accounted_for() {
    replay("rtp", rtp::exercise);
}

#[test]
fn protected_inputs_are_heard_once_or_not_at_all() {
    replay("srtp", srtp::exercise);
}

#[test]
fn call_inputs_end_in_one_record_and_silence() {
    replay("call", call::exercise);
}

#[test]
fn dialect_inputs_are_heard_in_portions_or_refused_and_answered_in_json() {
    for row in patchcord_core::dialect::registry::DIALECTS {
        replay(&format!("dialect_{}", row.name.replace('-', "_")), |input| {
            dialect::exercise(row.name, input)
        });
    }
}

#[test]
fn mapping_inputs_are_refused_at_a_place_or_write_bounded_json() {
    replay("mapping", mapping::exercise);
}

#[test]
fn every_folder_of_inputs_belongs_to_a_target() {
    for entry in std::fs::read_dir(SEEDS).unwrap() {
        let folder = entry.unwrap().file_name().into_string().unwrap();
        let target = Path::new(SEEDS).join(format!("../targets/{folder}.rs"));
        assert!(target.is_file(), "{} is missing", target.display());
    }
}

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");
