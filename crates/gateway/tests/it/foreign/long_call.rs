//! A call that lasts and is renegotiated again and again: hold and resume by re-INVITE, and sound between them.

use std::path::Path;
use std::time::Duration;

use super::bot::Bot;
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::program::Program;
use super::report::{Row, conclude};
use super::{is_long, peer, sound};

#[tokio::test]
async fn a_call_that_is_held_again_and_again_sounds_as_well_after_each_resumption() {
    let folder = Folder::new("long-call");
    let (rounds, period) = if is_long() { (20, 60) } else { (3, 6) };
    let seconds = f64::from(rounds * period);
    let speech = speech(&folder, rounds * period + 20).await;
    let caller = folder.file("caller.wav");
    let mut bot = Bot::start("long", "ivr-solutions", &["--behaviour", "echo"], &caller, folder.path()).await;
    let settings = format!(
        "[bots.long]\nurl = \"{}\"\ndialect = \"ivr-solutions\"\n[[numbers]]\nnumber = \"*\"\nbot = \"long\"\n",
        bot.url
    );
    let gateway = Gateway::start(folder.path(), &settings).await;
    let holds: Vec<String> = (1..rounds).map(|round| format!("{}s+1s", round * period)).collect();
    let heard = folder.file("heard.wav");
    let mut dial = Dial::new(gateway.sip_uri("18001234567"), seconds, &heard);
    dial.options = ["--hold", &holds.join(","), "--play", &speech].map(str::to_owned).into();
    let call = phone::call("long", &dial, folder.path()).await;
    let mut row = Row::new(format!("{seconds} s"));
    row.expect(call.summary["ok"] == true, format!("the phone: {} {:?}", call.summary, call.events));
    row.verdict("the bot", &bot.verdict(VERDICT_MAX).await);
    let packets =
        call.summary["packets"].as_array().and_then(|both| Some((both[0].as_f64()?, both[1].as_f64()?)));
    // The phone is silent for a second of each round, and a packet may be under way at either end of a hold.
    let wanted = 50.0 * (seconds - f64::from(rounds - 1)) * 0.99 - 5.0 * f64::from(rounds);
    let enough = packets.is_some_and(|(sent, heard)| sent >= wanted && heard >= wanted);
    row.expect(enough, format!("fewer than {wanted} packets each way: {packets:?}"));
    row.cell(format!("{packets:?}"));
    row.cause(gateway.record("from", dial.from).await, "completed/caller_hung_up");
    let mut rows = vec![row];
    for round in 0..rounds {
        let (from, to) = (f64::from(round * period) + 2.5, f64::from((round + 1) * period) - 0.5);
        let mut row = Row::new(format!("{from} s to {to} s"));
        row.hearing("the bot", &sound::judge_against(Path::new(&speech), &caller, from, Some(to)).await);
        rows.push(row);
    }
    conclude("a long call", &["packets or hearing", "cause"], &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

/// A sound that does not repeat within so many seconds.
async fn speech(folder: &Folder, seconds: u32) -> String {
    let file = folder.file("speech.wav");
    let (script, length) = (peer("tools/make_sounds.py").display().to_string(), seconds.to_string());
    let arguments = [script.as_str(), &length, &file];
    let maker = Program::start("make-sounds", peer(".venv/bin/python"), arguments, folder.path());
    assert!(maker.finish(Duration::from_secs(120)).await.1.success());
    file
}

const VERDICT_MAX: Duration = Duration::from_secs(15);
