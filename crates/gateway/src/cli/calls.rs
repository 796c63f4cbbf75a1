//! `patchcord calls`: the calls of a server that runs, through its API.

use serde_json::{Value, json};

use super::args::{CallsAction, CallsArgs, CallsListArgs};
use super::exit::Exit;
use super::remote::{Question, converse, escaped, fields, list_table};

/// Runs `patchcord calls`.
pub fn run(args: &CallsArgs) -> Exit {
    let (wanted, question) = match &args.action {
        CallsAction::List(list) => (&list.server, search(list)),
        CallsAction::Show(show) => (&show.server, Question::get(format!("calls/{}", escaped(&show.call)))),
        CallsAction::Hangup(end) => {
            (&end.server, Question::post(format!("calls/{}/hangup", escaped(&end.call)), &json!({})))
        }
        CallsAction::Transfer(transfer) => {
            let path = format!("calls/{}/transfer", escaped(&transfer.call));
            (&transfer.server, Question::post(path, &transfer.wish()))
        }
        CallsAction::Fields(show) => {
            (&show.server, Question::get(format!("calls/{}/fields", escaped(&show.call))))
        }
        CallsAction::Extract(again) => {
            let path = format!("calls/{}/extraction", escaped(&again.call));
            (&again.server, Question::post(path, &json!({})))
        }
        CallsAction::Extractions(list) => {
            (&list.server, Question::search("extractions", list.limit, &[("state", &list.state)]))
        }
    };
    converse(wanted, &question, |body| as_table(&args.action, body))
}

fn search(args: &CallsListArgs) -> Question {
    let named = [
        ("status", &args.status),
        ("from", &args.from),
        ("to", &args.to),
        ("bot", &args.bot),
        ("since", &args.since),
    ];
    Question::search("calls", args.limit, &named)
}

fn as_table(action: &CallsAction, body: &Value) -> String {
    match action {
        CallsAction::List(_) => list_table(
            body,
            ["status", "direction", "from", "to", "bot", "duration", "started_at", "call_id"],
        ),
        CallsAction::Show(_) | CallsAction::Fields(_) => fields(body),
        CallsAction::Extractions(_) => {
            list_table(body, ["state", "attempts", "last_error", "last_attempt_at", "call_id"])
        }
        CallsAction::Hangup(_) | CallsAction::Transfer(_) | CallsAction::Extract(_) => {
            format!("{}  accepted\n", body["call_id"].as_str().unwrap_or("?"))
        }
    }
}
