//! Fields taken from transcripts by a service that answers in every way, and the webhook that tells what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use patchcord::config::{Config, CurrentConfig};
use patchcord::jobs::{
    CallbackMeter, Courier, EXTRACTIONS_MAX, EXTRACTIONS_PER_SERVICE_MAX, ExtractionMeter, Extractor,
};
use patchcord::leavings::learned;
use patchcord::net::Egress;
use patchcord::store::{
    Beside, ExtractionKind, ExtractionOutcome, ExtractionState, NewCall, PlacedUtterance, Store,
    StoredExtraction, WithoutRoom,
};
use patchcord::tasks::Tasks;
use patchcord_core::vocabulary::{HeardPart, Role, Utterance};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::client::until;
use crate::callbacks::receiver::{Answer, Got, Receiver};
use crate::store::ground::{Ground, Open, ended_with_bot, new_call};

/// An extractor and a courier at work for a store.
struct Working {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    meter: Arc<ExtractionMeter>,
}

impl Working {
    fn start(store: &Store, settings: &str) -> Self {
        let current = CurrentConfig::new(Config::parse(settings).unwrap());
        let (tasks, _threads) = Tasks::start(1).unwrap();
        let (stop, meter) = (CancellationToken::new(), Arc::<ExtractionMeter>::default());
        let egress = Egress::new(tasks);
        let courier = Courier {
            store: store.clone(),
            current: current.clone(),
            egress: egress.clone(),
            meter: Arc::<CallbackMeter>::default(),
            end_told: Arc::new(|_| {}),
        };
        let known = store.clone();
        let result = move |call_id: String| {
            let store = known.clone();
            let writing = async move {
                let (fields, reasons, _) = learned(store.fields_of(&call_id).await?.as_ref());
                Ok(Some(json!({ "call_id": call_id, "fields": fields, "reasons": reasons }).to_string()))
            };
            Box::pin(writing) as patchcord::jobs::Writing
        };
        let extractor = Extractor {
            store: store.clone(),
            current,
            egress,
            meter: meter.clone(),
            result: Arc::new(result),
        };
        let tasks = vec![tokio::spawn(courier.run(stop.clone())), tokio::spawn(extractor.run(stop.clone()))];
        Self { stop, tasks, meter }
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }

    fn counted(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.meter.outcomes().filter(|(.., count)| *count > 0).collect()
    }
}

/// The settings of an agent whose fields come from `service` and whose results go to `hook`.
pub fn settings(service: Option<&Receiver>, hook: &Receiver, more: &str) -> String {
    let extract = service.map_or_else(String::new, |service| {
        let schema = r#"{"type":"object","properties":{"name":{"type":"string"},"budget":{"type":"integer"}}}"#;
        format!(
            "extract = {{ url = \"{}\", model = \"m\", api_key = \"sk-1\", schema = '{schema}', timeout = \"1s\"{more} }}\n",
            service.url("/v1/chat/completions")
        )
    });
    format!(
        "[callbacks]\nsecret = \"fedcba9876543210\"\n[bots.dealer]\ndialect = \"openai-realtime\"\nmodel = \"m\"\n\
         url = \"ws://127.0.0.1:1/\"\nwebhook = {{ url = \"{}\", secret = \"0123456789abcdef\" }}\n{extract}",
        hook.url("/hook")
    )
}

fn completion(content: &str) -> Answer {
    let message = json!({ "role": "assistant", "content": content, "refusal": null });
    let body = json!({ "id": "x", "object": "chat.completion", "choices": [{ "index": 0, "message": message,
        "finish_reason": "stop" }] });
    Answer::Whole(200, "Content-Type: application/json\r\n", body.to_string())
}

/// An answer that found that name.
pub fn named(name: &str) -> Answer {
    completion(&json!({ "name": name, "budget": null }).to_string())
}

/// What stands in the question's transcript.
fn transcript(question: &Got) -> String {
    question.json()["messages"][1]["content"].as_str().unwrap().to_owned()
}

/// Begins a call of the agent.
pub async fn begin(store: &Store, call_id: &str) {
    begin_with(store, call_id, "dealer").await;
}

async fn begin_with(store: &Store, call_id: &str, bot: &str) {
    let new = NewCall { leaves_files: true, bot: bot.into(), ..new_call(call_id, 1_707_204_900_000) };
    store.begin_call(new, 1_707_204_900_000).await.unwrap();
}

/// Says something in it: at even places the bot, at odd ones the caller.
pub async fn says(store: &Store, call_id: &str, position: u32, text: &str) {
    let utterance = Utterance {
        role: if position.is_multiple_of(2) { Role::Bot } else { Role::Caller },
        item: "item".into(),
        text: text.into(),
        start: Duration::ZERO,
        end: Duration::from_secs(1),
        heard: HeardPart::All,
        played: None,
        response: None,
    };
    let said = Beside::Utterance(PlacedUtterance { position, utterance });
    assert!(store.add_acknowledged(call_id, said, 1_707_204_901_000).await.unwrap());
}

/// Ends it.
pub async fn end(store: &Store, call_id: &str) {
    let ended = ended_with_bot("dealer", None);
    assert!(store.tell_acknowledged(call_id, ended, 1_707_204_909_000).await.unwrap());
}

/// A call of one question and one answer.
async fn whole_call(open: &Open, call_id: &str) {
    begin(&open.store, call_id).await;
    says(&open.store, call_id, 0, "Who is there?").await;
    says(&open.store, call_id, 1, "Gulshan Mehta").await;
    end(&open.store, call_id).await;
}

async fn whole(open: &Open, call_id: &str) -> StoredExtraction {
    open.store.find_extraction(call_id, ExtractionKind::Final).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_whole_transcript_is_asked_about_once_and_the_result_goes_to_the_webhook_signed() {
    let ground = Ground::sqlite("extraction-whole");
    let open = ground.open().await;
    let markup = "<script>alert(1)</script> & \"Gulshan\"";
    let mut service = Receiver::start(move |_, _| named(markup)).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    whole_call(&open, "call_1").await;
    let working = Working::start(&open.store, &settings(Some(&service), &hook, ""));
    let question = service.take(1).await.remove(0);
    assert_eq!(question.header("authorization"), "Bearer sk-1");
    let lines = transcript(&question);
    assert!(lines.contains("Who is there?") && lines.contains("Gulshan Mehta"), "{lines}");
    let told = hook.take(1).await.remove(0);
    let fields = json!({ "name": markup, "budget": null });
    let body = json!({ "call_id": "call_1", "fields": fields, "reasons": { "budget": "not said" } });
    assert_eq!(told.json(), body);
    let signed = patchcord::jobs::Signed {
        id: &told.header("webhook-id"),
        call_id: "call_1",
        timestamp: "",
        body: &told.body,
        sent_at_s: told.header("webhook-timestamp").parse().unwrap(),
    };
    let headers = signed.headers(Some(&patchcord::config::Secret::new("0123456789abcdef")));
    for name in ["x-signature", "webhook-signature"] {
        assert_eq!(
            told.header(name),
            headers[name].to_str().unwrap(),
            "{name} is by the webhook's own secret"
        );
    }
    hook.until(|| working.meter.under_way() == 0).await;
    assert_eq!(working.counted(), [("final", "done", 1)]);
    assert_eq!(
        (whole(&open, "call_1").await.state, whole(&open, "call_1").await.attempts),
        (ExtractionState::Done, 1)
    );
    working.stop().await;
    assert!(service.try_take().is_none() && hook.try_take().is_none());
    open.close().await;
}

#[tokio::test]
async fn during_a_call_one_question_at_a_time_is_asked_and_the_newest_words_win() {
    let ground = Ground::sqlite("extraction-live");
    let open = ground.open().await;
    // The second question is never answered: it is given up when the call ends.
    let mut service =
        Receiver::start(|seen, _| if seen == 1 { Answer::Silence } else { named("Gulshan") }).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    let working = Working::start(&open.store, &settings(Some(&service), &hook, ""));
    begin(&open.store, "call_1").await;
    says(&open.store, "call_1", 1, "first words").await;
    assert!(transcript(&service.take(1).await[0]).contains("first words"));
    until(async || {
        let known = open.store.fields_of("call_1").await.unwrap();
        known.filter(|known| known.fields["name"] == "Gulshan").map(|_| ())
    })
    .await;
    says(&open.store, "call_1", 3, "second words").await;
    let second = service.take(1).await.remove(0);
    for position in [5, 7, 9] {
        says(&open.store, "call_1", position, &format!("words {position}")).await;
    }
    assert!(transcript(&second).contains("second words") && !transcript(&second).contains("words 9"));
    let began = Instant::now();
    end(&open.store, "call_1").await;
    let last = service.take(1).await.remove(0);
    assert!(began.elapsed() < Duration::from_millis(800), "it waited for the one that is not answered");
    assert!(transcript(&last).contains("words 9"), "{}", transcript(&last));
    assert_eq!(hook.take(1).await[0].json()["fields"]["name"], "Gulshan");
    working.stop().await;
    assert!(service.try_take().is_none(), "the questions in between were never asked");
    open.close().await;
}

#[tokio::test]
async fn without_live_extraction_nothing_is_asked_before_the_end() {
    let ground = Ground::sqlite("extraction-not-live");
    let open = ground.open().await;
    let mut service = Receiver::start(|_, _| named("Gulshan")).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    let working = Working::start(&open.store, &settings(Some(&service), &hook, ", live = false"));
    whole_call(&open, "call_1").await;
    assert_eq!(hook.take(1).await[0].json()["fields"]["name"], "Gulshan");
    service.take(1).await;
    working.stop().await;
    assert!(service.try_take().is_none());
    open.close().await;
}

#[tokio::test]
async fn a_service_that_is_busy_fails_or_hangs_is_asked_again_and_retry_after_is_kept() {
    let ground = Ground::sqlite("extraction-retries");
    let open = ground.open().await;
    let mut service = Receiver::start(|seen, _| match seen {
        0 => Answer::Whole(429, "Retry-After: 2\r\n", "{}".to_owned()),
        1 => Answer::Silence,
        _ => named("Gulshan"),
    })
    .await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    whole_call(&open, "call_1").await;
    let working = Working::start(&open.store, &settings(Some(&service), &hook, ""));
    service.take(1).await;
    let began = Instant::now();
    service.take(1).await;
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
    assert_eq!(hook.take(1).await[0].json()["fields"]["name"], "Gulshan");
    let counted = [("final", "done", 1), ("final", "rate_limited", 1), ("final", "timeout", 1)];
    assert_eq!(working.counted(), counted);
    assert_eq!(whole(&open, "call_1").await.attempts, 3);
    working.stop().await;
    open.close().await;
}

#[tokio::test]
async fn what_is_given_up_is_told_with_a_reason_for_every_field() {
    let ground = Ground::sqlite("extraction-dead");
    let open = ground.open().await;
    let mut service = Receiver::start(|_, question| {
        let said = transcript(question);
        let answers = [
            ("refused", Answer::Whole(400, "", "{\"error\":\"Gulshan\"}".to_owned())),
            ("misfit", completion("{\"name\":\"Gulshan\",\"budget\":\"Gulshan\"}")),
            ("prose", completion("Gulshan, I suppose")),
            ("nonsense", Answer::Whole(200, "", "<html>Gulshan</html>".to_owned())),
            ("giant", Answer::Whole(200, "", "x".repeat(300_000))),
        ];
        let answer = answers.into_iter().find(|(word, _)| said.contains(word));
        answer.map_or(Answer::Status(500), |(_, answer)| answer)
    })
    .await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    let cases = [
        ("refused", "the service answered 400", 1),
        ("misfit", "the answer does not fit the schema in the field budget", 3),
        ("prose", "the model's answer is not JSON", 3),
        ("nonsense", "the service's answer is no chat completion", 3),
        ("giant", "the service's answer is too large", 3),
    ];
    for (word, ..) in cases {
        begin(&open.store, word).await;
        says(&open.store, word, 1, word).await;
        end(&open.store, word).await;
    }
    let working = Working::start(&open.store, &settings(Some(&service), &hook, ""));
    for told in hook.take(cases.len()).await {
        let body = told.json();
        let call_id = body["call_id"].as_str().unwrap();
        let (_, why, attempts) = cases.iter().find(|(word, ..)| *word == call_id).unwrap();
        let reason = format!("extraction failed: {why}");
        assert_eq!(body["fields"], json!({ "name": null, "budget": null }), "{call_id}");
        assert_eq!(body["reasons"], json!({ "name": reason, "budget": reason }), "{call_id}");
        let dead = whole(&open, call_id).await;
        assert_eq!((dead.state, dead.attempts), (ExtractionState::Dead, *attempts), "{call_id}");
        assert_eq!(dead.last_error.as_deref(), Some(*why));
    }
    assert_eq!(working.meter.dead(), 5);
    assert_eq!(open.store.count_extractions(ExtractionState::Dead).await.unwrap(), 5);
    service.take(13).await;
    working.stop().await;
    open.close().await;
}

#[tokio::test]
async fn what_the_bot_noted_fills_what_the_extraction_left_open() {
    let ground = Ground::sqlite("extraction-noted");
    let open = ground.open().await;
    let service = Receiver::start(|_, _| named("Gulshan Mehta")).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    begin(&open.store, "call_1").await;
    says(&open.store, "call_1", 1, "words").await;
    let noted = Beside::Saved(r#"{"name":"Mehta","budget":5,"colour":"red"}"#.into());
    assert!(open.store.add_acknowledged("call_1", noted, 1).await.unwrap());
    end(&open.store, "call_1").await;
    let working = Working::start(&open.store, &settings(Some(&service), &hook, ""));
    let body = hook.take(1).await[0].json();
    assert_eq!(body["fields"], json!({ "name": "Gulshan Mehta", "budget": 5, "colour": "red" }));
    assert_eq!(body["reasons"], json!({}));
    working.stop().await;
    open.close().await;
}

#[tokio::test]
async fn nobody_is_asked_where_there_is_nothing_to_ask_and_the_webhook_is_told_at_once() {
    let ground = Ground::sqlite("extraction-none");
    let open = ground.open().await;
    let mut service = Receiver::start(|_, _| named("nobody")).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    // Nobody said a word.
    begin(&open.store, "silent").await;
    says(&open.store, "silent", 0, "Hello? Hello?").await;
    end(&open.store, "silent").await;
    let working = Working::start(&open.store, &settings(Some(&service), &hook, ""));
    let body = hook.take(1).await[0].json();
    assert_eq!(body["reasons"], json!({ "name": "not said", "budget": "not said" }));
    working.stop().await;
    // Nothing is extracted.
    whole_call(&open, "plain").await;
    let working = Working::start(&open.store, &settings(None, &hook, ""));
    let body = hook.take(1).await[0].json();
    assert_eq!((&body["call_id"], &body["fields"]), (&json!("plain"), &json!({})));
    assert_eq!(whole(&open, "plain").await.state, ExtractionState::Off);
    working.stop().await;
    assert!(service.try_take().is_none());
    open.close().await;
}

#[tokio::test]
async fn an_extraction_by_hand_is_told_anew_under_an_id_of_its_own() {
    let ground = Ground::sqlite("extraction-again");
    let open = ground.open().await;
    let service =
        Receiver::start(|seen, _| if seen == 0 { Answer::Status(403) } else { named("Gulshan") }).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    whole_call(&open, "call_1").await;
    let working = Working::start(&open.store, &settings(Some(&service), &hook, ""));
    let first = hook.take(1).await.remove(0);
    assert_eq!(first.json()["fields"]["name"], Value::Null);
    assert!(open.store.extract_again("call_1", 1).await.unwrap());
    let second = hook.take(1).await.remove(0);
    assert_eq!(second.json()["fields"]["name"], "Gulshan");
    assert_ne!(first.header("webhook-id"), second.header("webhook-id"));
    working.stop().await;
    open.close().await;
}

#[tokio::test]
async fn wherever_the_process_dies_the_webhook_is_told_under_one_id() {
    let ground = Ground::sqlite("extraction-crash");
    let mut service =
        Receiver::start(|seen, _| if seen == 0 { Answer::Silence } else { named("Gulshan") }).await;
    let mut hook =
        Receiver::start(|seen, _| if seen == 0 { Answer::Silence } else { Answer::Status(200) }).await;
    let settings = settings(Some(&service), &hook, "");
    let open = ground.open().await;
    whole_call(&open, "call_1").await;
    // While the service is asked …
    let working = Working::start(&open.store, &settings);
    service.take(1).await;
    working.tasks.iter().for_each(JoinHandle::abort);
    open.close().await;
    // … between the answer and the telling …
    let open = ground.open().await;
    let due = open.store.due_extractions(u64::MAX, 10, &WithoutRoom::default()).await.unwrap().remove(0);
    assert_eq!((due.attempts, due.state), (0, ExtractionState::Pending), "as if it had not been asked");
    let done = ExtractionOutcome { state: ExtractionState::Done, error: None, next_at_ms: None, found: None };
    open.store.extraction_attempted(due, done, 1).await.unwrap();
    open.close().await;
    // … and while the webhook is told.
    let open = ground.open().await;
    let working = Working::start(&open.store, &settings);
    let first = hook.take(1).await.remove(0);
    working.tasks.iter().for_each(JoinHandle::abort);
    open.close().await;
    let open = ground.open().await;
    let working = Working::start(&open.store, &settings);
    let second = hook.take(1).await.remove(0);
    assert_eq!((first.header("webhook-id"), &first.body), (second.header("webhook-id"), &second.body));
    hook.until(|| working.meter.under_way() == 0).await;
    working.stop().await;
    assert!(hook.try_take().is_none());
    assert_eq!(open.words("call_1").await.iter().filter(|word| **word == "call.result").count(), 1);
    open.close().await;
}

#[tokio::test]
async fn a_service_that_hangs_holds_up_no_other_agents_result_and_no_webhook_without_extract() {
    let ground = Ground::sqlite("extraction-hangs");
    let open = ground.open().await;
    let mut hanging = Receiver::start(|_, _| Answer::Silence).await;
    let service = Receiver::start(|_, _| named("Gulshan")).await;
    let mut hook = Receiver::start(|_, _| Answer::Status(200)).await;
    let slow = settings(Some(&hanging), &hook, "").replace("timeout = \"1s\"", "timeout = \"20s\"");
    let further = |agent: &str, service: Option<&Receiver>| {
        let of_one = settings(service, &hook, "");
        let (_, bot) = of_one.split_once("[bots.").unwrap();
        format!("[bots.{}", bot.replacen("dealer", agent, 1))
    };
    let settings = format!("{slow}{}{}", further("other", Some(&service)), further("plain", None));
    // More calls than there is room for, on the line and over; some were given on to a bot that is no agent.
    for n in 0..3 * EXTRACTIONS_MAX {
        let call_id = format!("call_{n}");
        begin(&open.store, &call_id).await;
        says(&open.store, &call_id, 1, "words").await;
        let last =
            [None, Some(("dealer", None)), Some(("parrot", Some(r#"{"bots":["dealer","parrot"]}"#)))][n % 3];
        if let Some((bot, record)) = last {
            let ended = ended_with_bot(bot, record.map(str::to_owned));
            assert!(open.store.tell_acknowledged(&call_id, ended, 1_707_204_909_000).await.unwrap());
        }
    }
    let working = Working::start(&open.store, &settings);
    hanging.take(EXTRACTIONS_PER_SERVICE_MAX).await;
    let began = Instant::now();
    begin_with(&open.store, "live", "other").await;
    says(&open.store, "live", 1, "words").await;
    for bot in ["other", "plain"] {
        begin_with(&open.store, bot, bot).await;
        says(&open.store, bot, 1, "words").await;
        assert!(
            open.store.tell_acknowledged(bot, ended_with_bot(bot, None), 1_707_204_910_000).await.unwrap()
        );
    }
    let told: Vec<_> = hook.take(2).await.iter().map(Got::json).collect();
    let name = |bot: &str| &told.iter().find(|body| body["call_id"] == bot).unwrap()["fields"]["name"];
    assert_eq!((name("other"), name("plain")), (&json!("Gulshan"), &Value::Null));
    until(async || open.store.fields_of("live").await.unwrap().map(|_| ())).await;
    assert!(began.elapsed() < Duration::from_secs(1), "they waited {:?}", began.elapsed());
    assert!(hanging.try_take().is_none(), "the service has more at a time than it may");
    working.tasks.iter().for_each(JoinHandle::abort);
    open.close().await;
}
