//! A server that runs, asked by a command: where it is, what it answers, and how that is shown.

use std::fmt::Write as _;

use http::Method;
use serde_json::Value;

use super::args::CallsServer;
use super::exit::Exit;
use super::terminal::{Ink, data, paint, talk, tell_problems, tell_refusal};
use crate::config::{Environment, Secret, WebUrl, load};
use crate::net::{Egress, OwnServer};
use crate::tasks::Tasks;

/// Asks the server that is `wanted`, and shows the answer as JSON or as `show` says.
pub(super) fn converse(
    wanted: &CallsServer,
    question: &Question,
    show: impl FnOnce(&Value) -> String,
) -> Exit {
    let server = match find(wanted) {
        Ok(server) => server,
        Err(exit) => return exit,
    };
    match ask(&server, question) {
        Ok((200..=299, body)) => {
            data(&if wanted.json { format!("{body:#}\n") } else { show(&body) });
            Exit::Ok
        }
        Ok((status, body)) => {
            if wanted.json {
                data(&format!("{body:#}\n"));
            }
            let why = body["detail"].as_str().unwrap_or("the server does not say why");
            talk(&paint(&format!("{status}: {why}"), Ink::Red));
            if matches!(status, 401 | 403) { Exit::Denied } else { Exit::Failed }
        }
        Err(why) => {
            talk(&paint(&format!("{}: {why}", server.url), Ink::Red));
            talk("start a server, or name where it runs with --server URL");
            Exit::Unreachable
        }
    }
}

/// What is asked of the server.
pub(super) struct Question {
    method: Method,
    path: String,
    body: Option<String>,
}

impl Question {
    /// A look at a path.
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None }
    }

    /// The same with what is looked for, where it is said.
    pub(super) fn search(path: &str, limit: u32, named: &[(&str, &Option<String>)]) -> Self {
        let mut path = format!("{path}?limit={limit}");
        for (name, value) in named {
            if let Some(value) = value {
                let _ = write!(path, "&{name}={}", escaped(value));
            }
        }
        Self::get(path)
    }

    /// An order.
    pub(super) fn post(path: String, body: &Value) -> Self {
        Self { method: Method::POST, path, body: Some(body.to_string()) }
    }
}

/// The server that is meant: the one that is named, or that of the configuration.
fn find(wanted: &CallsServer) -> Result<OwnServer, Exit> {
    let environment = Environment::of_process();
    let named = wanted.server.as_deref().map(WebUrl::parse).transpose().map_err(|refusal| {
        tell_refusal(&refusal);
        Exit::Usage
    })?;
    let mut key = wanted.key.clone().map(Secret::new);
    let url = match named {
        Some(url) => url,
        None => {
            let loaded = load(wanted.config.as_deref(), &environment).map_err(|problems| {
                tell_problems(&problems);
                Exit::Failed
            })?;
            let http = &loaded.config.http;
            // The file that holds the keys is the operator's own.
            let strongest = http.keys.iter().max_by_key(|key| key.role);
            key = key.or_else(|| strongest.map(|key| key.key.clone()));
            http.local_url().ok_or_else(|| {
                talk("http.listen draws its port at the start: name it with --server URL");
                Exit::Usage
            })?
        }
    };
    Ok(OwnServer { url, key })
}

fn ask(server: &OwnServer, question: &Question) -> Result<(u16, Value), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let answer = runtime.block_on(async {
        let (tasks, threads) = Tasks::start(1).map_err(|error| error.to_string())?;
        let Question { method, path, body } = question;
        let answer = server.ask(&Egress::new(tasks), method.clone(), path, body.clone()).await;
        threads.join();
        answer
    });
    // A name that is still being resolved holds nobody up.
    runtime.shutdown_background();
    answer.map(|(status, body)| (status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// Percent-encodes what is no letter, digit or one of `-._~` (RFC 3986 §2.3).
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// A page of a list: a line for each entry.
pub(super) fn list_table<const N: usize>(body: &Value, names: [&str; N]) -> String {
    let mut rows = vec![names.map(str::to_owned)];
    for entry in body["data"].as_array().map(Vec::as_slice).unwrap_or_default() {
        rows.push(names.map(|name| text(&entry[name])));
    }
    let mut table = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
            let _ = write!(line, "{cell:<width$}  ", width = width.unwrap_or(0));
        }
        let _ = writeln!(table, "{}", line.trim_end());
    }
    if body["next_cursor"].is_string() {
        talk("there are more: narrow the search, or raise --limit (200 at most)");
    }
    table
}

/// A line for each field.
pub(super) fn fields(body: &Value) -> String {
    let mut shown = String::new();
    let fields = body.as_object().map(|fields| fields.iter().collect::<Vec<_>>()).unwrap_or_default();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        let _ = writeln!(shown, "{name:<width$}  {}", text(value));
    }
    shown
}

/// A value for people, on one line and without what a terminal would obey.
fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
