//! Whose words are whose: turns that are written down late, or in another order.

use super::agent::{talking, utterances};
use super::*;
use crate::agent::AgentTerms;

fn silence(desk: &mut Desk, ms: u64) {
    for _ in 0..ms / 20 {
        desk.phone_speaks(0xFF);
        desk.pass(FRAME);
    }
}

/// The caller speaks for so long, which the engine notices.
fn turn(desk: &mut Desk, item: &str, ms: u64) {
    desk.bot_says(&format!("caller started {item}"));
    desk.talk(Duration::from_millis(ms));
    silence(desk, 500);
    desk.bot_says("caller stopped");
}

/// The words of all that was said, by its beginning.
fn words(desk: &Desk) -> Vec<String> {
    utterances(desk).iter().map(|one| one.text.to_string()).collect()
}

#[test]
fn two_turns_in_quick_succession_keep_their_words_whichever_are_known_first() {
    let mut desk = talking(AgentTerms::default());
    turn(&mut desk, "u1", 4_000);
    turn(&mut desk, "u2", 400);
    desk.bot_says("line caller final u2|yes");
    desk.bot_says("line caller final u1|I would like to buy a car");
    assert_eq!(words(&desk), ["I would like to buy a car", "yes"]);
    let [long, short] = utterances(&desk).try_into().unwrap();
    assert!(
        long.end - long.start > Duration::from_secs(3) && short.end - short.start < Duration::from_secs(1)
    );
}
