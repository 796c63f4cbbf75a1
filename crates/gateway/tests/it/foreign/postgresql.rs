//! The store on a real PostgreSQL: a cluster of the test's own, on a socket in its folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use patchcord::config::{Database, Secret};
use patchcord::store::Fact;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::ask;
use super::folder::Folder;
use super::program::Program;
use crate::store::ground::{Ground, ended, new_call};
use crate::store::{calls, deliveries, extractions, overview, pace, talk};

/// A running PostgreSQL; it ends with its owner.
pub struct Postgresql {
    folder: Folder,
    _server: Program,
}

impl Postgresql {
    /// Makes a cluster and starts it. PostgreSQL refuses to run as root: then it runs as the user `postgres`.
    pub async fn start(name: &str) -> Self {
        let folder = Folder::new(name);
        let cluster = folder.path().join("cluster");
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap().success());
        }
        let programs = programs();
        let made = as_user(&programs.join("initdb"))
            .args([
                "--username=postgres",
                "--auth=trust",
                "--no-sync",
                "--no-locale",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(&cluster)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut words = user_words();
        words.push(programs.join("postgres").display().to_string());
        words.extend(["-D".into(), cluster.display().to_string()]);
        for setting in
            ["listen_addresses=", "fsync=off", "max_connections=50", "unix_socket_permissions=0777"]
        {
            words.extend(["-c".into(), setting.into()]);
        }
        words.extend(["-k".into(), folder.path().display().to_string()]);
        let program = words.remove(0);
        let server = Program::start("postgres", program, words, folder.path());
        let asks = || {
            let mut ready = Command::new(programs.join("pg_isready"));
            ready.args(["--quiet", "--host"]).arg(folder.path()).status().is_ok_and(|done| done.success())
        };
        let up = ask::until(Duration::from_secs(30), || asks().then_some(())).await;
        assert!(up.is_some(), "PostgreSQL does not come up: {}", server.talk());
        Self { folder, _server: server }
    }

    /// The URL of a database in it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.path().display())
    }

    /// A new, empty database.
    pub async fn database(&self, name: &str) -> Database {
        let mut link = PgConnection::connect(&self.url("postgres")).await.unwrap();
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut link).await.unwrap();
        link.close().await.unwrap();
        Database::Postgres(Secret::new(self.url(name)))
    }
}

/// The folder of the newest PostgreSQL on this machine.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.max_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    newest.expect("PostgreSQL is missing: run scripts/setup-tests.sh").path().join("bin")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What stands before a command that PostgreSQL runs.
fn user_words() -> Vec<String> {
    let words: &[&str] =
        if is_root() { &["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] } else { &[] };
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn as_user(program: &Path) -> Command {
    let mut words = user_words();
    words.push(program.display().to_string());
    let mut command = Command::new(words.remove(0));
    command.args(words);
    command
}

#[tokio::test]
async fn the_whole_suite_of_the_store_holds_on_postgresql() {
    let server = Postgresql::start("suite").await;
    let stored = calls::CASES.iter().chain(deliveries::CASES).chain(overview::CASES);
    let cases = stored.chain(pace::CASES).chain(talk::CASES).chain(extractions::CASES);
    for (number, (name, case)) in cases.enumerate() {
        eprintln!("{name}");
        let database = server.database(&format!("suite_{number}")).await;
        tokio::time::timeout(Duration::from_secs(60), case(Ground::at(database))).await.expect(name);
    }
}

#[tokio::test]
async fn servers_that_share_a_database_miss_none_of_each_others_events() {
    let server = Postgresql::start("shared").await;
    let ground = Ground::at(server.database("shared").await);
    let (here, there) = (ground.open().await, ground.open_as("there").await);
    let reader = here.store.clone();
    let reading = async move {
        let (mut seen, mut last) = (Vec::new(), 0);
        while seen.len() < 400 {
            let events = reader.events_after(last, 1_000).await.unwrap();
            last = events.last().map_or(last, |event| event.seq);
            seen.extend(events.into_iter().map(|event| event.call_id));
            tokio::task::yield_now().await;
        }
        seen
    };
    let writing = async {
        for n in 0..200 {
            let (one, other) =
                (new_call(&format!("call_h{n}"), 1_000), new_call(&format!("call_t{n}"), 1_000));
            tokio::join!(here.begin(one), there.begin(other));
        }
    };
    let both = async { tokio::join!(reading, writing).0 };
    let mut seen = tokio::time::timeout(Duration::from_secs(120), both).await.expect("events are missing");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 400);
    here.close().await;
    there.close().await;
}

#[tokio::test]
async fn a_connection_that_breaks_again_and_again_loses_nothing_and_doubles_nothing() {
    let server = Postgresql::start("broken").await;
    let ground = Ground::at(server.database("broken").await);
    let open = ground.open().await;
    let mut hand = PgConnection::connect(&server.url("broken")).await.unwrap();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE application_name = 'patchcord' AND pid <> pg_backend_pid()";
    for n in 0..300 {
        let call_id = format!("call_{n}");
        open.store.begin_call_unawaited(new_call(&call_id, 1_000), 1_000);
        open.store.tell(&call_id, Fact::Ringing, 1_010);
        open.store.tell(&call_id, ended(), 1_020);
        if n % 30 == 29 {
            sqlx::query(others).execute(&mut hand).await.unwrap();
            // Whatever is being written now meets the broken connection.
            open.store.setting("colour").await.ok();
        }
    }
    // Behind all of them in the line.
    let stored = async { while open.store.set_setting("last", "1", 2_000).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), stored).await.expect("the database does not come back");
    for n in 0..300 {
        let words = open.words(&format!("call_{n}")).await;
        assert_eq!(words, ["call.initiated", "call.ringing", "call.completed"], "call_{n}");
    }
    let figures = open.store.figures();
    eprintln!("{figures:?}");
    assert!(figures.failures > 0 && !figures.failing && figures.refused == 0, "{figures:?}");
    open.close().await;
}

#[tokio::test]
async fn a_server_that_has_nothing_to_write_has_its_name_back_at_once_when_its_connection_breaks() {
    let server = Postgresql::start("quiet").await;
    let ground = Ground::at(server.database("quiet").await);
    let open = ground.open().await;
    let mut hand = PgConnection::connect(&server.url("quiet")).await.unwrap();
    let holder = "SELECT coalesce(max(pid), 0) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    let before: i32 = sqlx::query_scalar(holder).fetch_one(&mut hand).await.unwrap();
    assert_ne!(before, 0, "nobody holds the name");
    let ended: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1, 5000)")
        .bind(before)
        .fetch_one(&mut hand)
        .await
        .unwrap();
    assert!(ended);
    let held = async {
        loop {
            let now: i32 = sqlx::query_scalar(holder).fetch_one(&mut hand).await.unwrap();
            if now != 0 && now != before {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), held).await.expect("nobody holds the name any more");
    assert!(!open.store.figures().failing);
    open.close().await;
}
