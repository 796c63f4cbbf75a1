//! A foreign bot gives its call to people: registered phones, and numbers at a foreign carrier.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::agent::{Agent, extensions};
use super::bot::Bot;
use super::callbacks::{SECRET, start_receiver};
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::program::Program;
use super::recordings::{recordings, split};
use super::{ask, peer, sound};

/// Everybody but the caller and the agents.
struct Stage {
    folder: Folder,
    carrier: Program,
    receiver: Program,
    bot: Bot,
    gateway: Gateway,
}

impl Stage {
    /// A bot that says `command` after four seconds, a carrier that gets `calls`, and extensions 101 and 102.
    async fn set(name: &str, command: &Value, calls: usize, on_transfer: &str) -> Self {
        let folder = Folder::new(name);
        let arguments = [calls.to_string(), "90".to_owned()];
        let mut carrier = Program::start("carrier", peer("sipp/carrier.sh"), arguments, folder.path());
        let port = carrier.line_after("LISTENING", Duration::from_secs(10)).await;
        let (receiver, callbacks) = start_receiver(&folder).await;
        let say = command.to_string();
        let options = ["--behaviour", "say-after=4", "--say", &say];
        let bot =
            Bot::start("desk", "ivr-solutions", &options, &folder.file("desk.wav"), folder.path()).await;
        let settings = format!(
            "{}[egress]\nallow_private = true\n[callbacks]\nsecret = \"{SECRET}\"\n\
             [[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"udp\"\n\
             options_interval = \"0s\"\nallow = [\"91*\"]\ncaller_ids = [\"7415100898\"]\n\
             [[numbers]]\nnumber = \"18001234567\"\nbot = \"desk\"\nrecording = true\n\
             callbacks = \"http://127.0.0.1:{callbacks}/ok/cb\"\n\
             [bots.desk]\nurl = \"{}\"\ndialect = \"ivr-solutions\"\non_transfer = \"{on_transfer}\"\n",
            extensions(&["101", "102"]),
            bot.url
        );
        let gateway = Gateway::start(folder.path(), &settings).await;
        Self { folder, carrier, receiver, bot, gateway }
    }

    async fn call(&self, seconds: f64, by_them: bool) -> (phone::PhoneCall, String) {
        let heard = self.folder.file("caller.wav");
        let target = self.gateway.sip_uri("18001234567");
        let dial = Dial { hung_up_by_them: by_them, ..Dial::new(target, seconds, &heard) };
        let call = phone::call("caller", &dial, self.folder.path()).await;
        assert_eq!(call.summary["ok"], true, "{} {:?}\n{}", call.summary, call.events, self.gateway.log());
        (call, heard)
    }

    /// The callbacks of the call's course, each once and in order; gives the last one.
    async fn told(&mut self) -> Value {
        let (mut events, mut ids) = (Vec::new(), BTreeSet::new());
        loop {
            let got = self.receiver.json_after("GOT ", Duration::from_secs(20)).await;
            assert_eq!(got["bad"], json!([]), "{got}");
            assert!(ids.insert(got["id"].as_str().unwrap().to_owned()), "{got}");
            let event = got["event"].as_str().unwrap();
            // A recording is told of when its file is ready.
            events.extend((event != "call.recording").then(|| event.to_owned()));
            if event == "call.completed" {
                assert_eq!(events, COURSE);
                return got["body"].clone();
            }
        }
    }

    /// What the API says of the legs of that call.
    fn legs(&self, call_id: &str) -> Vec<Value> {
        let answer = ask::get(self.gateway.http, &format!("/calls/{call_id}/transfer-legs"));
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        body["transfer_legs"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// The recording of that part, its two channels apart.
    async fn channels(&self, part: &str) -> [String; 2] {
        let part_in_name = format!("-{part}-");
        let is_part = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().contains(&part_in_name);
        let found = || recordings(self.folder.path(), "wav").into_iter().find(&is_part);
        let file = ask::until(Duration::from_secs(20), found).await.unwrap_or_else(|| panic!("no {part}"));
        split(&file, &self.folder).await
    }
}

fn statuses(legs: &[Value]) -> Vec<(&str, &str, bool)> {
    legs.iter()
        .map(|leg| {
            let [destination, status] = ["destination", "status"].map(|field| leg[field].as_str().unwrap());
            (destination, status, leg["answered"] == true)
        })
        .collect()
}

#[tokio::test]
async fn the_second_of_three_who_ring_at_once_has_the_call_and_everything_tells_of_it() {
    let command = json!({"type": "session.transfer", "destination": ["102", "101", "9109000001"]});
    let mut stage = Stage::set("transfer-at-once", &command, 1, "end").await;
    let (gateway, folder) = (&stage.gateway, &stage.folder);
    let patient = ["--answer-after", "40", "--ring-seconds", "60"];
    let rings = Agent::register(gateway, folder, ("rings", "102"), &patient).await;
    let agent =
        Agent::register(gateway, folder, ("agent", "101"), &["--hangup-by", "them", "--seconds", "40"]).await;
    let (_, heard) = stage.call(20.0, false).await;
    let (agent, agent_heard) = agent.finish().await;
    assert_eq!((&agent["established"], &agent["ok"]), (&json!(true), &json!(true)), "{agent}");
    assert_eq!(rings.finish().await.0["established"], false, "who was slower is let go");
    let counts = stage.carrier.json_after("", Duration::from_secs(60)).await;
    assert_eq!((&counts["calls"], &counts["ringing"]), (&json!(1), &json!(1)), "{counts}");
    let verdict = stage.bot.verdict(Duration::from_secs(10)).await;
    assert_eq!(verdict["ok"], true, "{verdict}");

    let (by_agent, by_caller) =
        (sound::judge(&agent_heard, 1.0, Some(10.0)).await, sound::judge(&heard, 9.0, Some(17.0)).await);
    assert!(by_agent.correlation() > 0.99, "the agent: {by_agent:?}");
    assert!(by_caller.correlation() > 0.99, "the caller: {by_caller:?}");

    let [record] = stage.gateway.records_when(1).await.try_into().unwrap();
    assert_eq!(
        (&record["status"], &record["cause"]["reason"]),
        (&json!("completed"), &json!("caller_hung_up"))
    );
    let legs = stage.legs(record["call_id"].as_str().unwrap());
    let wanted = [("102", "canceled", false), ("101", "completed", true), ("9109000001", "canceled", false)];
    assert_eq!(statuses(&legs), wanted, "{legs:?}");
    assert!(legs[1]["talk_seconds"].as_u64() >= Some(10), "{legs:?}");
    assert!(legs.iter().all(|leg| leg["strategy"] == "simultaneous" && leg["legs_total"] == 3), "{legs:?}");
    let body = stage.told().await;
    assert_eq!(
        (&body["transfer_status"], &body["transfer_answered_by"]),
        (&json!("completed"), &json!("101"))
    );
    assert_eq!(body["transfer_to"], "102,101,9109000001", "{body}");
    let mut told = body;
    while told["full_recording_url"].is_null() {
        // The whole call's file is ready when the call is over.
        let got = stage.receiver.json_after("GOT ", Duration::from_secs(20)).await;
        assert_eq!((&got["event"], &got["bad"]), (&json!("call.recording"), &json!([])), "{got}");
        told = got["body"].clone();
    }
    for link in ["recording_url", "full_recording_url"] {
        let link = told[link].as_str().unwrap_or_else(|| panic!("no {link}: {told}"));
        let path = &link[link.find("/calls/").unwrap()..];
        assert_eq!(ask::status(stage.gateway.http, path), 200, "{link}");
    }

    let [caller, played] = stage.channels("call").await;
    let (said, agent) =
        (sound::judge(&caller, 0.0, Some(15.0)).await, sound::judge(&played, 9.0, Some(17.0)).await);
    assert!(said.correlation() > 0.9 && agent.correlation() > 0.9, "{said:?} {agent:?}");
    let [caller, played] = stage.channels("bot").await;
    let (said, bot) =
        (sound::judge(&caller, 0.0, Some(3.5)).await, sound::judge(&played, 0.5, Some(3.5)).await);
    assert!(said.correlation() > 0.9 && bot.correlation() > 0.9, "{said:?} {bot:?}");
    assert!(stage.gateway.stop().await.success());
}

#[tokio::test]
async fn one_after_the_other_is_called_until_somebody_answers() {
    let numbers = ["9103000001", "9106000002", "101"];
    let command = json!({"type": "session.transfer", "destination": numbers, "strategy": "sequential"});
    let mut stage = Stage::set("transfer-in-turn", &command, 2, "end").await;
    let options = ["--hangup-by", "us", "--seconds", "5"];
    let agent = Agent::register(&stage.gateway, &stage.folder, ("agent", "101"), &options).await;
    let (_, heard) = stage.call(40.0, true).await;
    assert_eq!(agent.finish().await.0["ok"], true);
    assert!(sound::judge(&heard, 8.0, Some(10.5)).await.correlation() > 0.99);
    let counts = stage.carrier.json_after("", Duration::from_secs(60)).await;
    assert_eq!([&counts["calls"], &counts["busy"], &counts["away"]], [2, 1, 1], "{counts}");
    let [record] = stage.gateway.records_when(1).await.try_into().unwrap();
    assert_eq!(record["cause"]["reason"], "agent_hung_up", "{record}");
    let legs = stage.legs(record["call_id"].as_str().unwrap());
    let wanted =
        [(numbers[0], "busy", false), (numbers[1], "no_answer", false), (numbers[2], "completed", true)];
    assert_eq!(statuses(&legs), wanted, "{legs:?}");
    let body = stage.told().await;
    assert_eq!(
        (&body["transfer_answered_by"], &body["disconnected_by"]),
        (&json!("101"), &json!("agent")),
        "{body}"
    );
    assert!(stage.gateway.stop().await.success());
}

#[tokio::test]
async fn an_extension_that_a_bot_gives_its_call_to_talks_with_the_caller() {
    let command = json!({"type": "session.transfer_extension", "extension": "101"});
    let mut stage = Stage::set("transfer-extension", &command, 1, "end").await;
    let options = ["--hangup-by", "us", "--seconds", "6"];
    let agent = Agent::register(&stage.gateway, &stage.folder, ("agent", "101"), &options).await;
    let (_, heard) = stage.call(40.0, true).await;
    let (agent, agent_heard) = agent.finish().await;
    assert_eq!(agent["ok"], true, "{agent}");
    assert!(sound::judge(&heard, 8.0, Some(11.0)).await.correlation() > 0.99);
    assert!(sound::judge(&agent_heard, 1.0, Some(5.0)).await.correlation() > 0.99);
    let [record] = stage.gateway.records_when(1).await.try_into().unwrap();
    let legs = stage.legs(record["call_id"].as_str().unwrap());
    assert_eq!(statuses(&legs), [("101", "completed", true)], "{legs:?}");
    let body = stage.told().await;
    assert_eq!(
        (&body["transfer_status"], &body["transfer_to"]),
        (&json!("handed_off"), &json!("101")),
        "{body}"
    );
    assert!(stage.gateway.stop().await.success());
}

#[tokio::test]
async fn a_bot_that_follows_another_is_heard_without_a_frame_between_them() {
    let folder = Folder::new("transfer-ws-next");
    let mut next = Bot::start("next", "ivr-solutions", &[], &folder.file("next.wav"), folder.path()).await;
    let command = json!({"type": "session.transfer_ws", "url": next.url});
    let mut stage = Stage::set("transfer-ws", &command, 1, "end").await;
    let (_, heard) = stage.call(14.0, false).await;
    for bot in [&mut stage.bot, &mut next] {
        let verdict = bot.verdict(Duration::from_secs(10)).await;
        assert_eq!(verdict["ok"], true, "{verdict}");
    }
    let echo = sound::judge(&heard, 1.0, Some(12.0)).await;
    assert!(echo.correlation() > 0.99, "{echo:?}");
    let silent_ms = echo.silent() / 100.0 * 11_000.0;
    assert!(silent_ms <= 25.0, "{silent_ms} ms between them: {echo:?}");
    assert!(stage.gateway.stop().await.success());
}

#[tokio::test]
async fn when_nobody_answers_a_bot_that_waited_talks_on_and_otherwise_the_caller_hears_the_fallback() {
    for (on_transfer, by_them, seconds) in [("hold", false, 10.0), ("end", true, 40.0)] {
        let command = json!({"type": "session.transfer", "destination": ["9103000001", "9104000002"]});
        let mut stage = Stage::set(&format!("transfer-vain-{on_transfer}"), &command, 2, on_transfer).await;
        let (_, heard) = stage.call(seconds, by_them).await;
        let verdict = stage.bot.verdict(Duration::from_secs(10)).await;
        assert_eq!(verdict["ok"], true, "{verdict}");
        let [record] = stage.gateway.records_when(1).await.try_into().unwrap();
        let reason = if by_them { "transfer_failed" } else { "caller_hung_up" };
        assert_eq!((&record["cause"]["reason"], &record["status"]), (&json!(reason), &json!("completed")));
        let legs = stage.legs(record["call_id"].as_str().unwrap());
        let wanted = [("9103000001", "busy", false), ("9104000002", "rejected", false)];
        assert_eq!(statuses(&legs), wanted, "{legs:?}");
        assert_eq!(stage.told().await["transfer_status"], "failed");
        if !by_them {
            let echo = sound::judge(&heard, 6.0, Some(9.0)).await;
            assert!(echo.correlation() > 0.99, "the bot talks on: {echo:?}");
        }
        assert!(stage.gateway.stop().await.success());
    }
}

const COURSE: [&str; 5] =
    ["call.initiated", "call.ringing", "call.in-progress", "call.transferring", "call.completed"];
