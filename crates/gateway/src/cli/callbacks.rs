//! `patchcord callbacks`: what calls told whom on a server that runs, and what nobody took sent again.

use serde_json::{Value, json};

use super::args::{CallbacksAction, CallbacksArgs};
use super::exit::Exit;
use super::remote::{Question, converse, escaped, list_table};

/// Runs `patchcord callbacks`.
pub fn run(args: &CallbacksArgs) -> Exit {
    let (wanted, question) = match &args.action {
        CallbacksAction::List(list) => {
            let named = [("state", &list.state), ("kind", &list.kind), ("call_id", &list.call)];
            (&list.server, Question::search("callbacks", list.limit, &named))
        }
        CallbacksAction::Replay(replay) => {
            let path = format!("callbacks/{}/replay", escaped(&replay.event));
            (&replay.server, Question::post(path, &json!({})))
        }
    };
    converse(wanted, &question, |body| as_table(&args.action, body))
}

fn as_table(action: &CallbacksAction, body: &Value) -> String {
    match action {
        CallbacksAction::List(_) => {
            let names = [
                "state",
                "kind",
                "event",
                "attempts",
                "last_error",
                "receiver",
                "timestamp",
                "event_id",
                "call_id",
            ];
            list_table(body, names)
        }
        CallbacksAction::Replay(_) => format!("{}  on its way\n", body["event_id"].as_str().unwrap_or("?")),
    }
}
