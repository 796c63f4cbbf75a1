//! Real phones in flows: through a menu to a colleague, two in a queue for one agent, a message in a mailbox.

use std::path::Path;
use std::time::Duration;

use super::agent::{Agent, extensions};
use super::ask;
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::sound;

#[tokio::test]
async fn a_phone_goes_through_a_menu_to_a_registered_phone_and_both_hear_each_other() {
    let folder = Folder::new("flow-menu");
    let settings = format!(
        "{}[[numbers]]\nnumber = \"18001234567\"\nflow = \"desk\"\n\
         [flows.desk]\nsteps = [{{ menu = \"clip:choose\", keys = {{ 1 = \"extension:101\" }} }}]\n",
        extensions(&["101"])
    );
    let gateway = Gateway::start(folder.path(), &settings).await;
    let agent =
        Agent::register(&gateway, &folder, ("agent", "101"), &["--hangup-by", "them", "--seconds", "30"])
            .await;
    let heard = folder.file("caller.wav");
    let digits = Some("1@2s".to_owned());
    let dial = Dial { digits, ..Dial::new(gateway.sip_uri("18001234567"), 14.0, &heard) };
    let call = phone::call("caller", &dial, folder.path()).await;
    let (agent, agent_heard) = agent.finish().await;
    assert_eq!(call.summary["ok"], true, "{} {:?}", call.summary, call.events);
    assert_eq!(agent["established"], true, "{agent}");
    let (by_agent, by_caller) =
        tokio::join!(sound::judge(&agent_heard, 1.0, Some(7.0)), sound::judge(&heard, 7.0, Some(12.0)));
    assert!(by_agent.correlation() > 0.99, "the agent: {by_agent:?}");
    assert!(by_caller.correlation() > 0.99, "the caller: {by_caller:?}");
    let [record] = gateway.records_when(1).await.try_into().unwrap();
    assert_eq!(record["bot"], "flow:desk", "{record}");
    assert!(gateway.stop().await.success());
}

#[tokio::test]
async fn two_phones_in_a_queue_get_the_one_agent_one_after_the_other() {
    let folder = Folder::new("flow-queue");
    let settings = format!(
        "{}[[numbers]]\nnumber = \"18001234567\"\nflow = \"line\"\n\
         [flows.line]\nsteps = [{{ queue = {{ agents = [\"101\"], announce = \"5s\" }} }}]\n",
        extensions(&["101"])
    );
    let gateway = Gateway::start(folder.path(), &settings).await;
    let first = Agent::register(&gateway, &folder, ("agent-1", "101"), &["--seconds", "6"]).await;
    let caller = |name: &'static str, from: &'static str| {
        let (target, heard) = (gateway.sip_uri("18001234567"), folder.file(&format!("{name}.wav")));
        let path = folder.path();
        async move {
            let dial = Dial { from, hung_up_by_them: true, ..Dial::new(target, 60.0, &heard) };
            phone::call(name, &dial, path).await
        }
    };
    let waits = async {
        // The first caller is in line when the second one comes.
        in_line(&gateway, 1).await;
        let (second, ()) = tokio::join!(caller("second", "2222"), async {
            in_line(&gateway, 2).await;
        });
        second
    };
    let next_agent = async {
        let (told, _) = first.finish().await;
        assert_eq!(told["ok"], true, "{told}");
        let next = Agent::register(&gateway, &folder, ("agent-2", "101"), &["--seconds", "4"]).await;
        next.finish().await.0
    };
    let (one, two, last) = tokio::join!(caller("first", "1111"), waits, next_agent);
    assert_eq!(last["ok"], true, "{last}");
    for call in [&one, &two] {
        assert_eq!(call.summary["ok"], true, "{} {:?}", call.summary, call.events);
    }
    let ended = |call: &phone::PhoneCall| call.unix_ms("closed").unwrap();
    assert!(ended(&one) < ended(&two), "in the order in which they came");
    let records = gateway.records_when(2).await;
    assert!(records.iter().all(|record| record["bot"] == "flow:line"), "{records:?}");
    assert!(gateway.stop().await.success());
}

/// Waits until the line has that many callers, as the metrics tell it.
async fn in_line(gateway: &Gateway, count: usize) {
    let wanted = format!("patchcord_queue_waiting{{queue=\"line\"}} {count}\n");
    let page = || Some(ask::get(gateway.http, "/metrics"));
    let seen = ask::until(Duration::from_secs(20), || page().filter(|page| page.contains(&wanted)));
    seen.await.unwrap_or_else(|| panic!("not {count} callers in line"));
}

#[tokio::test]
async fn a_message_is_a_file_that_sounds_like_the_caller() {
    let folder = Folder::new("flow-voicemail");
    let settings = "[[numbers]]\nnumber = \"18001234567\"\nflow = \"mailbox\"\n\
         [flows.mailbox]\nsteps = [{ voicemail = { greeting = \"clip:goodbye\" } }]\n";
    let gateway = Gateway::start(folder.path(), settings).await;
    let heard = folder.file("caller.wav");
    let dial = Dial::new(gateway.sip_uri("18001234567"), 10.0, &heard);
    let call = phone::call("caller", &dial, folder.path()).await;
    assert_eq!(call.summary["ok"], true, "{} {:?}", call.summary, call.events);
    gateway.records_when(1).await;
    let message = ask::until(Duration::from_secs(10), || find(folder.path())).await.expect("no message");
    let judged = sound::judge(&message, 0.5, None).await;
    assert!(judged.correlation() > 0.99, "{judged:?}");
    assert!(gateway.stop().await.success());
}

/// The file of a voicemail below `folder`.
fn find(folder: &Path) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    entries.map(|entry| entry.path()).find_map(|path| match path.is_dir() {
        true => find(&path),
        false => {
            let name = path.file_name()?.to_str()?;
            (name.contains("voicemail") && name.ends_with(".wav")).then(|| path.display().to_string())
        }
    })
}
