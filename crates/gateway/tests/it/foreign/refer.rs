//! Transfers by REFER with programs that nobody here wrote: a carrier's caller that is sent elsewhere, and a phone that
//! gives its caller on.

use serde_json::{Value, json};

use super::agent::{Agent, extensions};
use super::bot::Bot;
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::{ask, sipp, sound};

/// The settings of a bot that says `command`, for the number 18001234567.
fn desk(bot: &Bot) -> String {
    format!(
        "[[numbers]]\nnumber = \"18001234567\"\nbot = \"desk\"\n\
         [bots.desk]\nurl = \"{}\"\ndialect = \"ivr-solutions\"\n",
        bot.url
    )
}

async fn bot_that_says(command: &Value, after: &str, folder: &Folder) -> Bot {
    let say = command.to_string();
    let options = ["--behaviour", after, "--say", &say, "--calls", "0"];
    Bot::start("desk", "ivr-solutions", &options, &folder.file("desk.wav"), folder.path()).await
}

#[tokio::test]
async fn a_carrier_that_takes_refer_connects_its_caller_itself_and_the_call_is_over_here() {
    let folder = Folder::new("referred");
    let command = json!({"type": "session.transfer", "destination": "9100000001"});
    let bot = bot_that_says(&command, "say-after=1", &folder).await;
    let trunk = "[[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = 9\ntransport = \"udp\"\n\
                 options_interval = \"0s\"\naccept_from = [\"127.0.0.1/32\"]\nallow = [\"91*\"]\n\
                 caller_ids = [\"*\"]\nrefer = true\n";
    let gateway = Gateway::start(folder.path(), &format!("{trunk}{}", desk(&bot))).await;
    sipp::run("referred", "18001234567", gateway.sip, &["5", "5"], folder.path()).await;
    for record in gateway.records_when(5).await {
        let cause = json!({"class": "completed", "reason": "transferred", "q850": 16});
        assert_eq!((&record["cause"], &record["status"]), (&cause, &json!("completed")));
        let call_id = record["call_id"].as_str().unwrap();
        let told = ask::json(gateway.http, &format!("/calls/{call_id}"));
        assert_eq!(
            (&told["transfer_status"], &told["transfer_to"]),
            (&json!("handed_off"), &json!("9100000001"))
        );
        assert_eq!(told["transfer_legs"][0]["status"], "completed", "{told}");
    }
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn a_phone_that_was_given_a_caller_gives_it_on_and_the_next_one_hears_it() {
    let folder = Folder::new("gives-on");
    let command = json!({"type": "session.transfer_extension", "extension": "101"});
    let bot = bot_that_says(&command, "say-after=1", &folder).await;
    let gateway =
        Gateway::start(folder.path(), &format!("{}{}", extensions(&["101", "102"]), desk(&bot))).await;
    let transfer = format!("sip:102@{}@3s", gateway.sip);
    let patient = ["--hangup-by", "them", "--seconds", "20", "--transfer", &transfer];
    let first = Agent::register(&gateway, &folder, ("first", "101"), &patient).await;
    let options = ["--hangup-by", "us", "--seconds", "6"];
    let second = Agent::register(&gateway, &folder, ("second", "102"), &options).await;
    let heard = folder.file("caller.wav");
    let dial = Dial { hung_up_by_them: true, ..Dial::new(gateway.sip_uri("18001234567"), 40.0, &heard) };
    let call = phone::call("caller", &dial, folder.path()).await;
    assert_eq!(call.summary["ok"], true, "{} {:?}\n{}", call.summary, call.events, gateway.log());
    let (summary, _) = first.finish().await;
    assert_eq!(summary["ok"], true, "let go of: {summary}");
    let (summary, by_second) = second.finish().await;
    assert_eq!(summary["ok"], true, "{summary}");
    let judged = sound::judge(&by_second, 1.0, Some(5.0)).await;
    assert!(judged.correlation() > 0.99, "{judged:?}");
    let [record] = gateway.records_when(1).await.try_into().unwrap();
    assert_eq!(record["cause"]["reason"], "agent_hung_up", "{record}");
    let told =
        ask::json(gateway.http, &format!("/calls/{}/transfer-legs", record["call_id"].as_str().unwrap()));
    let legs = told["transfer_legs"].as_array().unwrap();
    let seen: Vec<_> = legs.iter().map(|leg| (&leg["destination"], &leg["status"])).collect();
    assert_eq!(seen, [(&json!("101"), &json!("completed")), (&json!("102"), &json!("completed"))], "{told}");
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn a_phone_may_not_give_its_caller_to_a_number_that_it_may_not_call_itself() {
    let folder = Folder::new("may-not-give");
    let command = json!({"type": "session.transfer_extension", "extension": "101"});
    let bot = bot_that_says(&command, "say-after=1", &folder).await;
    let gateway = Gateway::start(folder.path(), &format!("{}{}", extensions(&["101"]), desk(&bot))).await;
    let transfer = format!("sip:4915112345@{}@2s", gateway.sip);
    let options = ["--hangup-by", "us", "--seconds", "5", "--transfer", &transfer];
    let agent = Agent::register(&gateway, &folder, ("agent", "101"), &options).await;
    let heard = folder.file("caller.wav");
    let dial = Dial { hung_up_by_them: true, ..Dial::new(gateway.sip_uri("18001234567"), 40.0, &heard) };
    let call = phone::call("caller", &dial, folder.path()).await;
    assert_eq!(call.summary["ok"], true, "{}", call.summary);
    assert_eq!(agent.finish().await.0["ok"], true, "it keeps its caller");
    let [record] = gateway.records_when(1).await.try_into().unwrap();
    let told =
        ask::json(gateway.http, &format!("/calls/{}/transfer-legs", record["call_id"].as_str().unwrap()));
    assert_eq!(told["count"], 1, "{told}");
    assert!(gateway.stop().await.success());
}
