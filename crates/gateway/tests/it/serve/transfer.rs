//! A bot gives the call to people by a carrier in the same process.

use std::time::Duration;

use patchcord_core::vocabulary::{LegStatus, TransferStatus};
use patchcord_sip::{EndedBy, LegEvent};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::interval;

use super::carrier::{Carrier, Course, silent_trunk};
use super::hand_over::Bot;
use super::phone::Phone;
use super::{Gateway, cause};

/// A call that talks to a bot, and a carrier who takes what goes out.
struct Stage {
    carrier: Carrier,
    gateway: Gateway,
    phone: Phone,
    bot: Bot,
}

impl Stage {
    async fn set(on_transfer: &str) -> Self {
        Self::set_with(on_transfer, "").await
    }

    async fn set_with(on_transfer: &str, more: &str) -> Self {
        let carrier = Carrier::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Gateway::start(&format!(
            "{}{more}[[numbers]]\nnumber = \"*\"\nbot = \"desk\"\n\
             [bots.desk]\nurl = \"ws://{}/\"\ndialect = \"ivr-solutions\"\non_transfer = \"{on_transfer}\"\n",
            carrier.trunk("carrier", "allow = [\"91*\"]\ncaller_ids = [\"7415100898\"]"),
            listener.local_addr().unwrap()
        ))
        .await;
        let sip = gateway.sip();
        let (phone, bot) = tokio::join!(Phone::call("18001234567", &sip), Bot::accept(&listener));
        Self { carrier, gateway, phone, bot }
    }

    async fn transfer(&mut self, destination: serde_json::Value) {
        self.bot.say(&json!({"type": "session.transfer", "destination": destination})).await;
    }
}

/// Both speak until each has heard the other.
async fn hear_each_other(phone: &mut Phone, agent: &Course) {
    let speaking = async {
        let mut clock = interval(Duration::from_millis(20));
        for sequence in 0.. {
            clock.tick().await;
            agent.speak(sequence, 0x31).await;
        }
    };
    let hearing = async {
        let mut heard = Vec::new();
        let of_the_agent = |heard: &[Vec<u8>]| heard.iter().any(|payload| payload == &[0x31; 160]);
        let (first, ()) =
            tokio::join!(phone.talk(100, |_| [0x21; 160]), agent.hear(|payload| payload == [0x21; 160]));
        heard.extend(first);
        phone.listen_until(&mut heard, of_the_agent).await;
    };
    tokio::select! { () = speaking => {}, () = hearing => {} }
}

#[tokio::test]
async fn caller_and_agent_hear_each_other_and_the_agents_end_is_the_calls_with_every_number() {
    let mut stage = Stage::set("end").await;
    stage.transfer(json!("919876543210")).await;
    let mut agent = stage.carrier.next().await;
    assert_eq!(agent.invitation.request_user, "919876543210");
    assert_eq!(agent.invitation.from_user, "7415100898", "the carrier shows no other number");
    let stop = stage.bot.event("stop").await;
    assert_eq!(stop["stop"]["reason"], "stopped", "{stop}");
    agent.ring().await;
    let ringing = stage.phone.talk(25, |_| [0x21; 160]).await;
    let sounds = |payload: &&Vec<u8>| payload.iter().any(|byte| *byte & 0x7F < 0x70);
    assert!(ringing.iter().filter(sounds).count() > 10, "the caller hears that it rings");
    assert!(agent.answer().await);
    hear_each_other(&mut stage.phone, &agent).await;
    stage.bot.gone().await;
    let leg_id = agent.invitation.call_id.clone();
    agent.leg.hang_up(None).await.unwrap();
    stage.phone.event(|event| matches!(event, LegEvent::Ended { by: EndedBy::Remote, .. })).await;
    let (records, calls) = stage.gateway.stop_and_see().await;
    assert_eq!(cause(&records[0]), "completed/agent_hung_up");
    assert_eq!(records[0]["hung_up_by"], "agent");
    let [report] = calls[0].transfers.as_slice() else { panic!("{:?}", calls[0].transfers) };
    assert_eq!((report.status, report.answered_by), (TransferStatus::Completed, Some(0)));
    let leg = &report.legs[0];
    assert_eq!((leg.status, &*leg.leg_id, leg.q850), (LegStatus::Completed, leg_id.as_str(), Some(16)));
    assert!(leg.answered_at.is_some() && leg.ended_at.is_some());
    stage.carrier.stop().await;
}

#[tokio::test]
async fn of_three_that_ring_at_once_one_is_busy_one_wins_and_one_is_cancelled() {
    let mut stage = Stage::set("end").await;
    stage.transfer(json!(["911111486", "912222222", "913333333"])).await;
    let (one, other) = (stage.carrier.next().await, stage.carrier.next().await);
    let (mut winner, mut loser) =
        if one.invitation.request_user == "912222222" { (one, other) } else { (other, one) };
    winner.ring().await;
    loser.ring().await;
    assert!(winner.answer().await);
    assert!(matches!(loser.end().await, LegEvent::Cancelled { .. }));
    hear_each_other(&mut stage.phone, &winner).await;
    stage.phone.hang_up().await;
    assert!(matches!(winner.end().await, LegEvent::Ended { by: EndedBy::Remote, .. }));
    let (records, calls) = stage.gateway.stop_and_see().await;
    assert_eq!(cause(&records[0]), "completed/caller_hung_up");
    let report = &calls[0].transfers[0];
    let statuses: Vec<_> = report.legs.iter().map(|leg| (leg.status, leg.q850)).collect();
    let expected =
        [(LegStatus::Busy, Some(17)), (LegStatus::Completed, Some(16)), (LegStatus::Canceled, Some(26))];
    assert_eq!(statuses, expected);
    assert_eq!((report.status, report.answered_by), (TransferStatus::Completed, Some(1)));
    stage.carrier.stop().await;
}

#[tokio::test]
async fn a_bot_on_hold_is_told_that_nobody_answered_and_of_what_may_not_be_dialled_and_talks_on() {
    let mut stage = Stage::set("hold").await;
    stage.transfer(json!(["911111486", "912222603"])).await;
    let told = stage.bot.event("error").await;
    assert_eq!(told["error"]["code"], "transfer_failed", "{told}");
    stage.transfer(json!("441234567890")).await;
    let told = stage.bot.event("error").await;
    assert_eq!(told["error"]["code"], "not_allowed", "{told}");
    stage.bot.event("media").await;
    stage.phone.hang_up().await;
    let (records, calls) = stage.gateway.stop_and_see().await;
    assert_eq!(cause(&records[0]), "completed/caller_hung_up");
    let [report] = calls[0].transfers.as_slice() else { panic!("{:?}", calls[0].transfers) };
    assert_eq!(report.status, TransferStatus::Failed);
    let statuses: Vec<_> = report.legs.iter().map(|leg| leg.status).collect();
    assert_eq!(statuses, [LegStatus::Busy, LegStatus::Rejected]);
    stage.carrier.stop().await;
}

#[tokio::test]
async fn a_transfer_by_a_carrier_that_says_nothing_fails_as_the_networks_and_not_as_the_agents() {
    let (_silent, silent) = silent_trunk("44*").await;
    let mut stage = Stage::set_with("hold", &format!("{silent}[transfers]\nring = \"2s\"\n")).await;
    stage.transfer(json!("441234567890")).await;
    assert_eq!(stage.bot.event("error").await["error"]["code"], "transfer_failed");
    stage.phone.hang_up().await;
    let (_, calls) = stage.gateway.stop_and_see().await;
    let [report] = calls[0].transfers.as_slice() else { panic!("{:?}", calls[0].transfers) };
    assert_eq!((report.status, report.q850), (TransferStatus::Failed, Some(38)));
    assert_eq!(report.legs[0].status, LegStatus::Failed);
    stage.carrier.stop().await;
}

#[tokio::test]
async fn transfers_count_among_all_that_goes_out() {
    let mut stage = Stage::set_with("hold", "[outbound]\nper_minute = 1\n").await;
    for wanted in ["transfer_failed", "too_many_calls"] {
        stage.transfer(json!("911111486")).await;
        let told = stage.bot.event("error").await;
        assert_eq!(told["error"]["code"], wanted, "{told}");
    }
    stage.phone.hang_up().await;
    stage.gateway.stop().await;
    assert_eq!(stage.carrier.calls(), 1);
    stage.carrier.stop().await;
}

#[tokio::test]
async fn a_caller_who_leaves_while_it_rings_leaves_nobody_ringing() {
    let mut stage = Stage::set("end").await;
    stage.transfer(json!("919876543210")).await;
    let mut agent = stage.carrier.next().await;
    agent.ring().await;
    stage.phone.hang_up().await;
    assert!(matches!(agent.end().await, LegEvent::Cancelled { .. }));
    let (_, calls) = stage.gateway.stop_and_see().await;
    assert_eq!(calls[0].transfers[0].status, TransferStatus::CallerAbandoned);
    stage.carrier.stop().await;
}

#[tokio::test]
async fn whoever_has_to_accept_hears_the_beeps_and_is_joined_by_pressing_one() {
    let mut stage = Stage::set_with("end", "[transfers]\nconfirm = true\n").await;
    stage.transfer(json!("919876543210")).await;
    let mut agent = stage.carrier.next().await;
    agent.ring().await;
    assert!(agent.answer().await);
    agent.hear(|payload| payload.iter().any(|byte| *byte & 0x7F < 0x30)).await;
    agent.leg.send_info('1', Duration::from_millis(100)).await.unwrap();
    hear_each_other(&mut stage.phone, &agent).await;
    stage.phone.hang_up().await;
    let (_, calls) = stage.gateway.stop_and_see().await;
    assert_eq!(calls[0].transfers[0].status, TransferStatus::Completed);
    stage.carrier.stop().await;
}
