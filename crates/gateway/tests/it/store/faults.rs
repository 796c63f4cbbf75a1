//! What disks do: they stall, they fail, they refuse; a call that is up does not hear it, and everybody is told.

use std::path::Path;
use std::time::Duration;

use patchcord::caller::line::{self, Dial};
use patchcord::caller::load::{self, LoadPlan, Stage};
use patchcord::clock::Clock;
use patchcord::config::{Database, Secret};
use patchcord::store::{CallFilter, Fact, Store, StoreError};
use patchcord_core::media::g711::Law;
use patchcord_sip::LegEvent;
use patchcord_sip::sdp::Protection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval, timeout};

use super::ground::{Ground, body, ended, new_call};
use crate::serve::phone::{Phone, pcmu};
use crate::serve::{Gateway, cause};

/// Somebody else holds the file: nothing can be written, as on a disk that stands still.
struct Stall(SqliteConnection);

impl Stall {
    async fn begin(file: &Path) -> Self {
        let mut link = other_hand(file).await;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut link).await.unwrap();
        Self(link)
    }

    async fn end(mut self) {
        sqlx::query("ROLLBACK").execute(&mut self.0).await.unwrap();
        self.0.close().await.unwrap();
    }
}

async fn other_hand(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
    options.connect().await.unwrap()
}

async fn get(http: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(http).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

/// Asks until the answer holds `word`.
async fn until(http: &str, path: &str, word: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut ticks = interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let answer = get(http, path).await;
        if answer.contains(word) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} never says {word}: {answer}");
    }
}

/// How a call goes: answered, or refused with that status.
async fn outcome(phone: &mut Phone) -> Result<(), u16> {
    let over = |event: &LegEvent| matches!(event, LegEvent::Answered { .. } | LegEvent::Failed { .. });
    match phone.event(over).await {
        LegEvent::Failed { code, .. } => Err(code),
        _ => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_stands_still_is_heard_on_no_call_and_told_to_everybody() {
    let gateway = Gateway::start("").await;
    let (sip, http) = (gateway.sip(), gateway.http());
    let target = format!("sip:echo@{sip}");
    let meter = line::Phone::facing(&target, Clock::start()).await.unwrap();
    let plan = LoadPlan {
        dial: Dial { target, from: "1001".to_owned(), law: Law::Mu, srtp: Protection::Off },
        calls: 2,
        per_second: 10.0,
        warm_up: Duration::from_millis(500),
        window: Duration::from_secs(10),
        drain: Duration::from_millis(500),
    };
    let (begun, begins) = tokio::sync::oneshot::channel();
    let mut begun = Some(begun);
    let mut watch = |progress: load::Progress| {
        if progress.stage == Stage::Window
            && let Some(begun) = begun.take()
        {
            let _ = begun.send(());
        }
    };
    let holding = load::run(&meter, &plan, &mut watch);
    let file = gateway.folder().join("patchcord.db");
    let standing_still = async {
        begins.await.unwrap();
        // A call that comes meanwhile is answered when it is stored, and not before.
        let stall = Stall::begin(&file).await;
        let mut waiting = Phone::dial("echo", &sip, &[pcmu()]).await;
        let answer = until(&http, "/ready", "storage: ").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert_eq!(timeout(Duration::from_millis(300), outcome(&mut waiting)).await.ok(), None);
        stall.end().await;
        assert_eq!(outcome(&mut waiting).await, Ok(()));
        waiting.hang_up().await;
        // One that cannot be stored within five seconds is refused, and so is everybody who comes then.
        let stall = Stall::begin(&file).await;
        let mut in_vain = Phone::dial("echo", &sip, &[pcmu()]).await;
        until(&http, "/metrics", "\npatchcord_storage_failing 1\n").await;
        assert_eq!(outcome(&mut in_vain).await, Err(503));
        assert_eq!(outcome(&mut Phone::dial("echo", &sip, &[pcmu()]).await).await, Err(503));
        stall.end().await;
        until(&http, "/ready", "\"ready\"").await;
        Phone::call("echo", &sip).await
    };
    let (report, phone) = tokio::join!(holding, standing_still);
    meter.close().await;
    phone.hang_up().await;
    let report = report.unwrap();
    assert_eq!((report.held, report.failed), (2, 0), "{:?}", report.first_failure);
    let longest = report.frames.latency.max().unwrap();
    eprintln!("{} frames, {} lost, latency to {longest:?}", report.frames.sent, report.frames.lost());
    // A machine that is busy delays by some frames; the disk would by seconds.
    assert!(longest < Duration::from_millis(500) && report.frames.lost() * 100 <= report.frames.sent);
    assert!(report.frames.sent >= 2 * 450);

    let (records, rows) = gateway.stop_and_see().await;
    let refused = records.iter().filter(|record| cause(record) == "us/storage_behind").count();
    assert_eq!((refused, records.len()), (2, 6));
    // Who was refused at the door stands in the file alone; the other one's row was written after all.
    assert_eq!(rows.len(), records.len() - 1);
    assert!(rows.iter().all(|call| call.status.is_final()), "{rows:?}");
}

#[tokio::test]
async fn what_a_failing_database_did_not_take_is_written_once_it_does_and_in_order() {
    let ground = Ground::sqlite("failing");
    let open = ground.open().await;
    let Database::Sqlite(file) = &ground.database else { unreachable!() };
    open.begin(new_call("call_1", 1_000)).await;
    let mut hand = other_hand(file).await;
    sqlx::query("ALTER TABLE events RENAME TO events_away").execute(&mut hand).await.unwrap();
    open.store.begin_call_unawaited(new_call("call_2", 2_000), 2_000);
    open.store.tell("call_1", ended(), 3_000);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut ticks = interval(Duration::from_millis(20));
    while open.store.figures().failures < 3 {
        ticks.tick().await;
        assert!(Instant::now() < deadline, "{:?}", open.store.figures());
    }
    let figures = open.store.figures();
    assert!(figures.failing && figures.waiting >= 1 && figures.refused == 0, "{figures:?}");
    sqlx::query("ALTER TABLE events_away RENAME TO events").execute(&mut hand).await.unwrap();
    hand.close().await.unwrap();
    open.close().await;

    let open = ground.open().await;
    assert_eq!(open.words("call_1").await, ["call.initiated", "call.completed"]);
    assert_eq!(open.words("call_2").await, ["call.initiated"]);
    let figures = open.store.figures();
    assert_eq!((figures.failing, figures.waiting), (false, 0));
    open.close().await;
}

#[tokio::test]
async fn a_write_that_is_refused_for_ever_takes_no_other_along() {
    let ground = Ground::sqlite("refused");
    let open = ground.open().await;
    let Database::Sqlite(file) = &ground.database else { unreachable!() };
    let mut hand = other_hand(file).await;
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON calls WHEN NEW.call_id = 'call_bad' \
                BEGIN INSERT INTO calls SELECT * FROM calls WHERE call_id = 'call_1'; END";
    open.begin(new_call("call_1", 1_000)).await;
    sqlx::query(trap).execute(&mut hand).await.unwrap();
    hand.close().await.unwrap();
    for call in ["call_2", "call_bad", "call_3"] {
        open.store.begin_call_unawaited(new_call(call, 2_000), 2_000);
    }
    open.begin(new_call("call_4", 3_000)).await;
    // What nobody waits for stands behind it.
    open.tell("call_3", Fact::Ringing, 3_500).await;
    let calls = open.store.list_calls(&CallFilter::default(), None, 10).await.unwrap();
    let ids: Vec<_> = calls.iter().map(|call| call.call_id.as_str()).collect();
    assert_eq!(ids, ["call_4", "call_3", "call_2", "call_1"]);
    assert_eq!(open.store.figures().refused, 1);
    open.close().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_says_which_and_what_to_do() {
    let folder = Ground::sqlite("unopened");
    let Database::Sqlite(file) = &folder.database else { unreachable!() };
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, "this is a letter, and no database at all\n".repeat(100)).unwrap();
    let below = file.join("below/patchcord.db");
    let away = Secret::new("postgres://me:hunter2@127.0.0.1:9/calls");
    for (database, place) in [
        (folder.database.clone(), file.display().to_string()),
        (Database::Sqlite(below.clone()), below.display().to_string()),
        (Database::Postgres(away), "127.0.0.1:9/calls".to_owned()),
    ] {
        let told = match Store::open(&database, "here", body).await {
            Err(error @ StoreError::Open(_)) => error.to_string(),
            other => panic!("{place}: {:?}", other.err()),
        };
        assert!(told.contains(&place) && told.contains("storage.database"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
