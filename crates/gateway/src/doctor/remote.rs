//! Others: the server that runs, the bots, and what their clocks say.

use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, stream};
use http::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::Check;
use crate::config::{Bot, Config, Taker, WebUrl};
use crate::net::{CONNECT_TIMEOUT, Destination, DialError, Egress, Knock, OwnServer, Trust, knock};

/// What was found of a running server.
pub struct Found {
    /// Whether it runs.
    pub is_running: bool,
    /// What there is to say of it.
    pub checks: Vec<Check>,
}

impl Found {
    /// There is none.
    pub fn nobody(subject: &str, why: &str) -> Self {
        let check = Check::ok("server", subject, format!("none was looked for: {why}"));
        Self { is_running: false, checks: vec![check] }
    }
}

/// Asks the server at `url` how it is; one that somebody named (`is_named`) has to be there.
pub async fn server(url: &WebUrl, egress: &Egress, config: &Config, is_named: bool) -> Found {
    let began = Instant::now();
    let subject = url.to_string();
    let (health, ready) = match (ask(url, "health", egress).await, ask(url, "ready", egress).await) {
        (Ok(health), Ok(ready)) => (health, ready),
        (Err(error), _) | (_, Err(error)) => {
            let found = format!("none answers there: {error}");
            let check = if is_named {
                Check::fail("server", subject, found, "start it, or name where it runs with --server URL")
            } else {
                Check::ok("server", subject, format!("{found}; patchcord serve starts one"))
            };
            return Found { is_running: false, checks: vec![check] };
        }
    };
    let Some(id) = health.1["server"].as_str().filter(|_| health.1["status"] == "ok") else {
        let cure = "stop that program, or set http.listen to another port";
        let check = Check::fail("server", subject, "another program answers there", cure);
        return Found { is_running: false, checks: vec![check] };
    };
    let ms = began.elapsed().as_millis();
    let mut checks = vec![if id == config.server.id {
        Check::ok("server", &subject, format!("\"{id}\" answers, {ms} ms"))
    } else {
        let cure = "name its file with --config FILE: the checks below are of another one";
        Check::warn(
            "server",
            &subject,
            format!("\"{id}\" answers, but the file is that of another server"),
            cure,
        )
    }];
    if ready.0 != 200 {
        let why = ready.1["detail"].as_str().unwrap_or("it does not say why").to_owned();
        checks.push(Check::fail("server", &subject, format!("it takes no calls: {why}"), "see its log"));
    }
    Found { is_running: true, checks }
}

/// The page `/metrics` of the server at `url`, asked for with a key of `config`.
pub async fn metrics(url: &str, config: &Config, egress: &Egress) -> Option<String> {
    let server =
        OwnServer { url: WebUrl::parse(url).ok()?, key: config.http.keys.first().map(|key| key.key.clone()) };
    let (status, body) = server.ask(egress, Method::GET, "metrics", None).await.ok()?;
    (status == 200).then(|| String::from_utf8_lossy(&body).into_owned())
}

/// The status and the JSON of an answer; no JSON is null.
async fn ask(base: &WebUrl, path: &str, egress: &Egress) -> Result<(u16, Value), String> {
    let server = OwnServer { url: base.clone(), key: None };
    let (status, body) = server.ask(egress, Method::GET, path, None).await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// Greets every remote bot and leaves; no call is started.
pub async fn bots(config: &Config, egress: &Egress) -> Vec<Check> {
    let greeted: Vec<(&Bot, Result<Knock, DialError>)> = stream::iter(&config.bots)
        .map(|bot| async move { (bot, knock(&bot.url, &bot.headers, &Trust::Operator, egress).await) })
        .buffered(BOTS_AT_ONCE)
        .collect()
        .await;
    let mut checks: Vec<Check> = greeted.iter().map(|(bot, greeted)| judge(bot, greeted)).collect();
    let dates = greeted.iter().filter_map(|(bot, knock)| Some((bot, knock.as_ref().ok()?.date?)));
    checks.extend(dates.take(1).map(|(bot, date)| drift(&bot.name, date, SystemTime::now())));
    checks
}

fn judge(bot: &Bot, greeted: &Result<Knock, DialError>) -> Check {
    match greeted {
        Ok(knock) if knock.took > SLOW => Check::warn(
            "bots",
            &bot.name,
            format!("{} takes {} ms to open: callers wait that long", bot.url, knock.took.as_millis()),
            "run the bot nearer to this machine, or look at what it does when a connection opens",
        ),
        Ok(knock) => {
            Check::ok("bots", &bot.name, format!("{} opens in {} ms", bot.url, knock.took.as_millis()))
        }
        Err(error) => Check::fail(
            "bots",
            &bot.name,
            format!("{}: {error}", bot.url),
            format!("start the bot, or change bots.{0}.url or bots.{0}.headers", bot.name),
        ),
    }
}

/// Opens a connection to the CONFIG_API of every number, and asks nothing.
pub async fn config_apis(config: &Config, egress: &Egress) -> Vec<Check> {
    let asked = config.numbers.iter().enumerate().filter_map(|(index, number)| match &number.taker {
        Taker::ConfigApi(api) => Some((index, &api.url)),
        Taker::Bot(_) | Taker::Flow(_) | Taker::Extension(_) => None,
    });
    let reached = stream::iter(asked).map(|(index, url)| async move {
        let (began, key) = (Instant::now(), format!("numbers[{index}].config_api"));
        let connected = egress.connect(Destination::of(url), &Trust::Operator, began + CONNECT_TIMEOUT).await;
        match connected {
            Ok(_) => {
                let ms = began.elapsed().as_millis();
                Check::ok("config_api", key, format!("{url} is reached in {ms} ms"))
            }
            Err(error) => {
                let cure = format!("start the program there, or change {key}: its calls get the fallback");
                Check::fail("config_api", key, format!("{url}: {error}"), cure)
            }
        }
    });
    reached.buffered(BOTS_AT_ONCE).collect().await
}

/// How far this machine's clock is from another's, whose `date` counts whole seconds.
fn drift(whose: &str, date: SystemTime, now: SystemTime) -> Check {
    let off = now.duration_since(date).unwrap_or_else(|ahead| ahead.duration());
    if off > DRIFT_BAD {
        let found = format!("{} s away from the clock of the bot {whose}", off.as_secs());
        return Check::warn("clock", "drift", found, "run a time service: timedatectl set-ntp true");
    }
    Check::ok("clock", "drift", format!("the bot {whose} has the same time, to {} s", DRIFT_BAD.as_secs()))
}

/// Bots and CONFIG_APIs that are greeted at the same time.
const BOTS_AT_ONCE: usize = 16;

/// From here on a caller notices how long the bot takes to open.
const SLOW: Duration = Duration::from_millis(1_000);

/// What a clock may be off before tokens and certificates are judged wrongly.
const DRIFT_BAD: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_clock_that_is_minutes_off_in_either_direction_is_told() {
        let now = SystemTime::now();
        let minutes = Duration::from_secs(180);
        for (date, verdict) in [
            (now - minutes, Verdict::Warn),
            (now + minutes, Verdict::Warn),
            (now - Duration::from_secs(1), Verdict::Ok),
        ] {
            assert_eq!(drift("sales", date, now).verdict, verdict);
        }
    }
}
