//! `kill -9` at random moments while calls come and go, on both databases: what was acknowledged is there once.
//!
//! The caller is our own; what is foreign is the death of the process and, in one of the two, PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use patchcord::config::Database;
use patchcord::store::{CallCursor, CallFilter, DeliveryFilter, DeliveryState, StoredCall};
use patchcord_sip::sdp::{CodecSpec, Direction, LocalSession};
use patchcord_sip::{InviteRequest, LegEvent, ListenAddr, SipAgent, SipConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::folder::Folder;
use super::gateway::Gateway;
use super::is_long;
use super::postgresql::Postgresql;
use crate::store::ground::{Ground, Open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_on_sqlite_every_answered_call_has_one_end_and_no_event_is_lost() {
    let folder = Folder::new("kill9-sqlite");
    let database = Database::in_folder(&folder.path().join("patchcord-data"));
    lives_and_deaths(&folder, &database, "").await;
    let check = ["pragma integrity_check"].map(str::to_owned);
    let Database::Sqlite(file) = &database else { unreachable!() };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut link = sqlx::ConnectOptions::connect(&options).await.unwrap();
    for statement in check {
        let query = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(statement));
        assert_eq!(query.fetch_one(&mut link).await.unwrap(), "ok");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_kill_9_on_postgresql_every_answered_call_has_one_end_and_no_event_is_lost() {
    let server = Postgresql::start("kill9").await;
    let database = server.database("kill9").await;
    let folder = Folder::new("kill9-postgresql");
    let settings = format!("[storage]\ndatabase = \"{}\"\n", server.url("kill9"));
    lives_and_deaths(&folder, &database, &settings).await;
}

/// Lets gateways live and die on one database, and looks at what they left.
async fn lives_and_deaths(folder: &Folder, database: &Database, settings: &str) {
    let (lives, calls_up) = if is_long() { (50, 50) } else { (4, 20) };
    // Nobody takes the callbacks: every delivery stays where it is.
    let settings = format!("{settings}[callbacks]\nurl = \"http://127.0.0.1:9/\"\n");
    let answered = Arc::<Mutex<BTreeSet<String>>>::default();
    for life in 0..lives {
        let gateway = Gateway::start(folder.path(), &settings).await;
        // A different moment each time, in the midst of things.
        let moment = Duration::from_millis(400 + pseudo_random(life, 0) % 1_600);
        let mut callers = JoinSet::new();
        for slot in 0..calls_up {
            callers.spawn(keep_calling(gateway.sip.to_string(), (life, slot), answered.clone()));
        }
        sleep_until(Instant::now() + moment).await;
        gateway.kill().await;
        callers.shutdown().await;
    }
    let gateway = Gateway::start(folder.path(), &settings).await;
    let records = gateway.records();
    assert!(gateway.stop().await.success());

    let ground = Ground::at(database.clone());
    let open = ground.open_as("patchcord").await;
    let calls = all_calls(&open).await;
    let answered = answered.lock().unwrap().clone();
    eprintln!("{lives} lives, {} calls; {} were seen answered", calls.len(), answered.len());
    assert!(answered.len() >= lives as usize * calls_up as usize / 2, "too few calls to judge by");
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for record in &records {
        *lines.entry(record["call_id"].as_str().unwrap()).or_default() += 1;
    }
    let mut ids = BTreeSet::new();
    let mut restarted = 0;
    for call in &calls {
        assert!(call.status.is_final(), "{call:?}");
        restarted += usize::from(call.cause.as_ref().unwrap().reason == "restart");
        assert_eq!(lines.get(call.call_id.as_str()), Some(&1), "{call:?}");
        judge_events(&open, call, &mut ids).await;
    }
    assert_eq!(lines.len(), calls.len(), "lines and rows");
    assert!(restarted >= lives as usize, "{restarted} calls were up when the process died");
    let froms: BTreeSet<_> = calls.iter().map(|call| call.from.as_str()).collect();
    assert_eq!(froms.len(), calls.len(), "each call has a number of its own");
    let missing: Vec<_> = answered.iter().filter(|from| !froms.contains(from.as_str())).collect();
    assert!(missing.is_empty(), "answered calls without a row: {missing:?}");
    open.close().await;
}

/// Each event once, one of them terminal and it last, and each with its delivery.
async fn judge_events(open: &Open, call: &StoredCall, ids: &mut BTreeSet<String>) {
    let events = open.store.events_of(&call.call_id).await.unwrap();
    let names: Vec<_> = events.iter().map(|event| event.name).collect();
    let distinct: BTreeSet<_> = names.iter().map(|name| name.word()).collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
    assert_eq!(names.iter().filter(|name| name.is_terminal()).count(), 1, "{names:?}");
    assert!(names.last().unwrap().is_terminal(), "{names:?}");
    let filter = DeliveryFilter { call_id: Some(call.call_id.clone()), ..DeliveryFilter::default() };
    let deliveries = open.store.list_deliveries(&filter, None, 100).await.unwrap();
    let told: Vec<_> = deliveries.iter().rev().map(|delivery| &delivery.event_id).collect();
    assert_eq!(told, events.iter().map(|event| &event.event_id).collect::<Vec<_>>());
    assert!(deliveries.iter().all(|delivery| delivery.state != DeliveryState::Delivered));
    for event in events {
        assert!(ids.insert(event.event_id.clone()), "{} stands twice", event.event_id);
    }
}

async fn all_calls(open: &Open) -> Vec<StoredCall> {
    let mut calls: Vec<StoredCall> = Vec::new();
    loop {
        let cursor = calls.last().map(CallCursor::behind);
        let page = open.store.list_calls(&CallFilter::default(), cursor.as_ref(), 500).await.unwrap();
        if page.is_empty() {
            return calls;
        }
        calls.extend(page);
    }
}

/// Calls again and again, each time from a number of its own, and keeps those that were answered.
async fn keep_calling(sip: String, (life, slot): (u64, u64), answered: Arc<Mutex<BTreeSet<String>>>) {
    let listen = vec![ListenAddr::Udp("127.0.0.1:0".parse().unwrap())];
    let (agent, _calls) = SipAgent::bind(SipConfig { listen, ..SipConfig::default() }).await.unwrap();
    for turn in 0.. {
        let from = format!("7{life:03}{slot:03}{turn:04}");
        let mut session = LocalSession::new(7, "127.0.0.1:9".parse().unwrap());
        let request = InviteRequest {
            target: format!("sip:echo@{sip}"),
            from_user: from.clone(),
            from_display: String::new(),
            offer: session.offer(&[CodecSpec::new("PCMU", 8_000, 0)], 20, Direction::SendRecv),
            headers: Vec::new(),
        };
        let Ok(mut call) = agent.invite(request).await else { return };
        let is_answered = async {
            while let Some(event) = call.events.next().await {
                match event {
                    LegEvent::Answered { .. } => return true,
                    LegEvent::Failed { .. } | LegEvent::Ended { .. } => return false,
                    _ => {}
                }
            }
            false
        };
        if !timeout(Duration::from_secs(5), is_answered).await.unwrap_or(false) {
            return;
        }
        answered.lock().unwrap().insert(from);
        sleep_until(Instant::now() + Duration::from_millis(50 + pseudo_random(life, slot * 31 + turn) % 900))
            .await;
        let _ = call.leg.hang_up(None).await;
    }
}

/// Numbers that look drawn, and are the same in every run.
fn pseudo_random(a: u64, b: u64) -> u64 {
    let mixed =
        (a ^ b.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)) >> 7
}
