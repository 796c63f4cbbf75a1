//! Three destinations of a transfer answer at the same moment, at a carrier that nobody here wrote: one has the call,
//! and of the others nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::folder::Folder;
use super::gateway::Gateway;
use super::program::Program;
use super::{ask, is_long, peer, sipp};

#[tokio::test]
async fn of_three_who_answer_at_once_one_has_the_call_and_no_leg_is_left() {
    let rounds = if is_long() { 200 } else { 20 };
    let folder = Folder::new("race");
    let script = peer("python/racing_carrier.py").display().to_string();
    let arguments = [&*script, "--legs", "3"];
    let mut carrier = Program::start("carrier", peer(".venv/bin/python"), arguments, folder.path());
    let port = carrier.line_after("LISTENING ", Duration::from_secs(20)).await;
    let gateway = Gateway::start(folder.path(), &settings(&port)).await;

    let calls = rounds.to_string();
    let options = [&*calls, "4", "4000"];
    let callers = sipp::run("call", "echo", gateway.sip, &options, folder.path());
    let (_, transfers) = tokio::join!(callers, transfer_each(&gateway, rounds));
    let records = gateway.records_when(rounds).await;
    let ids: BTreeSet<_> = records.iter().map(|record| record["call_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rounds, "one record each");
    assert!(records.iter().all(|record| record["cause"]["reason"] == "caller_hung_up"), "{records:?}");

    let at_rest = || gateway.rtp_ports().is_empty() && gateway.metric("patchcord_calls_active") == 0.0;
    let rest = ask::until(Duration::from_secs(10), || at_rest().then_some(())).await;
    assert!(rest.is_some(), "held: {:?}\n{}", gateway.rtp_ports(), gateway.log());
    assert_eq!(gateway.metric("patchcord_sip_legs"), 0.0);

    carrier.terminate();
    let verdict = carrier.json_after("VERDICT ", Duration::from_secs(10)).await;
    assert_eq!((&verdict["left"], &verdict["problems"]), (&json!([]), &json!([])), "{verdict}");
    let crossed = judge(&gateway, &transfers, &verdict);
    eprintln!("{rounds} rounds: {crossed} answers crossed with the winner's");
    assert!(crossed >= rounds / 10, "only {crossed} of {rounds} rounds were a race");
    assert!(gateway.stop().await.success());
}

/// Gives every call, as soon as it is answered, to three numbers of its own; says which call got which.
async fn transfer_each(gateway: &Gateway, rounds: usize) -> BTreeMap<String, String> {
    let mut given = BTreeMap::new();
    while given.len() < rounds {
        let next = || {
            let page = ask::json(gateway.http, "/calls?status=in-progress&limit=100");
            let ids = page["data"].as_array().unwrap().iter().map(|call| call["call_id"].as_str().unwrap());
            let new: Vec<_> = ids.filter(|id| !given.contains_key(*id)).map(str::to_owned).collect();
            (!new.is_empty()).then_some(new)
        };
        let new = ask::until(Duration::from_secs(30), next).await.expect("no call comes");
        for id in new {
            let round = format!("91{:05}", given.len());
            let to = ["1", "2", "3"].map(|last| format!("{round}{last}"));
            let (status, answer) =
                ask::post(gateway.http, &format!("/calls/{id}/transfer"), &json!({ "destination": to }));
            assert_eq!(status, 202, "{answer}");
            given.insert(id, round);
        }
    }
    given
}

/// Whether carrier and gateway agree that each round had one winner; gives the number of answers that came too late.
fn judge(gateway: &Gateway, transfers: &BTreeMap<String, String>, verdict: &Value) -> usize {
    let mut crossed = 0;
    for (call_id, round) in transfers {
        let seen = &verdict["rounds"][round];
        let talked = seen["talked"].as_array().unwrap();
        assert_eq!(talked.len(), 1, "{round}: {seen}");
        assert_eq!(seen["ends"].as_object().unwrap().len(), 3, "{round}: {seen}");
        let reasons = seen["reasons"].as_array().unwrap();
        let elsewhere = "SIP;cause=200;text=\"Call completed elsewhere\", Q.850;cause=26;";
        assert!(
            reasons.iter().all(|reason| reason.as_str().is_some_and(|why| why.starts_with(elsewhere))),
            "{seen}"
        );
        crossed += usize::try_from(seen["crossed"].as_u64().unwrap()).unwrap();
        let told = ask::json(gateway.http, &format!("/calls/{call_id}/transfer-legs"));
        assert_eq!(told["answered_by"], talked[0], "{told}");
        let legs = told["transfer_legs"].as_array().unwrap();
        let statuses = |wanted: &str| legs.iter().filter(|leg| leg["status"] == wanted).count();
        assert_eq!((statuses("completed"), statuses("canceled")), (1, 2), "{told}");
    }
    crossed
}

fn settings(port: &str) -> String {
    format!(
        "[outbound]\ncalls = 200\nper_minute = 100000\n\
         [[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = {port}\ntransport = \"udp\"\n\
         options_interval = \"0s\"\nallow = [\"91*\"]\ncaller_ids = [\"*\"]\n\
         [trunks.limits]\ncalls = 200\nper_minute = 100000\n"
    )
}
