//! Whatever a caller does: a flow neither panics, nor says without end, nor keeps a call for itself for ever.

use proptest::prelude::*;

use super::*;

fn action() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9*#A-D]{1,6}".prop_map(|keys| format!("press {keys}")),
        (0u64..8_000).prop_map(|ms| format!("wait {ms}ms")),
        Just("refuse".to_owned()),
        Just("refuse other".to_owned()),
        Just("start".to_owned()),
        (0u64..4_000).prop_map(|ms| format!("speak {ms}")),
        (1u32..12).prop_map(|place| format!("place {place}")),
        Just("turn 101 102".to_owned()),
        Just("full".to_owned()),
    ]
}

fn any_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        Just(Target::Next),
        Just(Target::Again),
        (0usize..4, 0usize..5).prop_map(|(flow, step)| at(flow, step)),
        Just(bot("sales")),
        Just(Target::Dial(dial(&["tel:919876543210"], DialOrder::AllAtOnce))),
        Just(Target::HangUp),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1usize..3_000).prop_map(|ms| Step::Play(clip('p', ms))),
        ("[0-9*#]", any_target())
            .prop_map(|(key, target)| menu('m', &[(key.chars().next().unwrap(), target)])),
        (1usize..4, 0usize..4).prop_map(|(min, more)| gather(min, min + more, Some('#'))),
        Just(Step::Bot("sales".into())),
        Just(Step::Dial(dial(&["101", "102"], DialOrder::OneByOne))),
        any_target().prop_map(people::queue),
        Just(people::voicemail()),
        (any_target(), any_target()).prop_map(|(open, closed)| Step::Hours {
            hours: OpeningHours::default(),
            open,
            closed
        }),
        Just(Step::HangUp),
    ]
}

proptest! {
    #[test]
    fn any_flow_and_any_caller_come_to_an_end(
        flows in proptest::collection::vec(proptest::collection::vec(any_step(), 0..5), 1..4),
        actions in proptest::collection::vec(action(), 0..60),
    ) {
        let mut caller = Caller::new(&books(flows), "main");
        caller.act("start");
        for action in actions {
            caller.act(&action);
        }
        // Nobody presses anything any more, and nobody takes the call: every try is refused.
        for _ in 0..=STEPS_MAX {
            caller.act("refuse");
            caller.act("wait 60s");
        }
        prop_assert_eq!(caller.flow.poll_timeout(), None);
        prop_assert!(caller.line.is_empty());
        prop_assert_eq!(caller.act("wait 60s"), "");
    }
}
