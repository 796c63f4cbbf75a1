//! Agents as they are written: what is read, what cannot be, and where that is said.

use super::super::Config;
use super::*;
use patchcord_core::dialect::{BargeIn, Eagerness, Hundredths, TurnAnswer, TurnDetection, Turns};
use patchcord_core::vocabulary::{DialOrder, PhoneNumber};
use std::time::Duration;

const AGENT: &str = "\
    [bots.dealer]\ndialect = \"openai-realtime\"\nurl = \"wss://h/v1/realtime\"\napi_key = \"sk-hunter2\"\n\
    model = \"gpt realtime\"\ninstructions = \"\"\"Be kind.\nBe brief.\"\"\"\n";

fn agent(more: &str) -> (super::super::Bot, AgentSettings) {
    let config = Config::parse(&format!("{AGENT}{more}")).unwrap_or_else(|problems| panic!("{problems}"));
    let bot = config.bots.into_iter().next().unwrap();
    let agent = bot.agent.as_deref().unwrap().clone();
    (bot, agent)
}

/// The problems of an agent with that much more, each as its key and what is wrong.
fn problems(more: &str) -> String {
    Config::parse(&format!("{AGENT}{more}")).unwrap_err().to_string()
}

#[test]
fn an_agent_is_dialled_with_its_model_and_its_key_and_neither_prints() {
    let (bot, agent) = agent("");
    assert_eq!(bot.url.as_uri().to_string(), "wss://h/v1/realtime?model=gpt%20realtime");
    assert_eq!(bot.headers["authorization"], "Bearer sk-hunter2");
    assert_eq!(&*agent.engine.instructions, "Be kind.\nBe brief.");
    assert!(agent.terms.may.hang_up && !agent.terms.may.send_digits && agent.follows_phone);
    assert_eq!(agent.limits.session, Duration::from_secs(55 * 60));
    assert!(!format!("{bot:?}").contains("hunter2"));
}

#[test]
fn azure_gets_its_own_header_and_an_address_that_names_a_deployment_stays_as_it_is() {
    let text = "[bots.a]\ndialect = \"openai-realtime\"\nurl = \"wss://h/openai/realtime?deployment=x\"\n\
                api_key = \"k\"\nmodel = \"y\"\nazure = true\nbeta = true\n";
    let bot = Config::parse(text).unwrap().bots.remove(0);
    assert_eq!(bot.url.as_uri().query(), Some("deployment=x"));
    assert_eq!(bot.headers["api-key"], "k");
    assert!(!bot.headers.contains_key("openai-beta") && !bot.headers.contains_key("authorization"));
}

#[test]
fn what_an_agent_may_do_its_tools_and_what_becomes_of_its_calls_are_read() {
    let (_, agent) = agent(
        "temperature = 0.8\nspeed = 1\nwebhook = { url = \"https://w/x\", secret = \"0123456789abcdef\" }\n\
         turn_detection = { kind = \"semantic_vad\", eagerness = \"high\", interrupt = false }\n\
         extract = { url = \"https://h/c\", model = \"m\", live = false, \
         schema = '{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}},\"required\":[\"name\"]}' }\n\
         limits = { duration = \"10m\", silence = \"20s\", seconds_per_day = 3600, session = \"50m\" }\n\
         [bots.dealer.may]\nsend_digits = true\nsave_fields = true\nhang_up = false\n\
         transfer = { desk = \"extension:101\", sales = \"919876543210\", menu = \"flow:f\" }\n\
         [[bots.dealer.tools]]\nname = \"stock\"\ndescription = \"What is there.\"\nurl = \"http://127.0.0.1:1/s\"\n\
         headers = { Authorization = \"Bearer t\" }\ntimeout = \"3s\"\nthinking = false\n\
         parameters = { type = \"object\", properties = { car = { type = \"string\" } } }\n",
    );
    assert_eq!((agent.engine.temperature, agent.engine.speed), (Some(Hundredths(80)), Some(Hundredths(100))));
    let turns = Turns { answer: TurnAnswer::ByItself, barge_in: BargeIn::Ignored };
    let high = TurnDetection::Semantic(Some(Eagerness::High), turns);
    assert_eq!(agent.engine.turn_detection, high);
    let webhook = agent.webhook.unwrap();
    assert_eq!((webhook.url.host(), webhook.secret.is_some()), ("w", true));
    let extract = agent.extract.unwrap();
    assert!(!extract.live && extract.api_key.unwrap().matches("sk-hunter2"));
    assert_eq!(extract.schema.strict()["required"][0], "name");
    assert_eq!(agent.limits.seconds_per_day, Some(3_600));
    let sales = TransferTo::Phones(vec![PhoneNumber::new("919876543210")], DialOrder::AllAtOnce);
    assert!(agent.terms.may.transfer.contains(&("sales".into(), sales)));
    assert!(agent.terms.may.transfer.contains(&("desk".into(), TransferTo::Extension("101".into()))));
    let tool = &agent.tools[0];
    assert_eq!((tool.name.as_str(), tool.timeout, tool.thinking), ("stock", Duration::from_secs(3), false));
    assert_eq!(tool.parameters.as_json()["properties"]["car"]["type"], "string");
    let told: Vec<_> = agent.engine.tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(told, ["transfer", "send_digits", "save_fields", "stock"]);
    assert_eq!(agent.terms.tools.len(), 1);
}

#[test]
fn what_cannot_be_is_refused_with_its_key_and_its_line() {
    let tool = "[[bots.dealer.tools]]\nname = \"NAME\"\ndescription = \"d\"\nurl = \"http://h/\"\n";
    for (more, key, word) in [
        (
            "extract = { url = \"https://h/\", model = \"m\", schema = \"[]\" }\n",
            "extract.schema",
            "not a JSON object",
        ),
        ("extract = { url = \"https://h/\", model = \"m\", schema = \"{\" }\n", "extract.schema", "not JSON"),
        (
            "extract = { url = \"https://h/\", model = \"m\", schema = '{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"txt\"}}}' }\n",
            "extract.schema",
            "/properties/a/type",
        ),
        (
            "extract = { url = \"https://h/\", model = \"m\", schema = '{\"type\":\"object\",\"required\":[\"b\"]}' }\n",
            "extract.schema",
            "\"b\"",
        ),
        ("extract = { url = \"https://h/\" }\n", "extract", "\"model\" is missing"),
        ("temperature = 3\n", "temperature", "out of range"),
        ("temperature = \"hot\"\n", "temperature", "number"),
        ("webhook = { secret = \"0123456789abcdef\" }\n", "webhook", "url"),
        ("webhook = { url = \"https://h/\", secret = \"short\" }\n", "webhook", "16 bytes"),
        ("turn_detection = { kind = \"vad\" }\n", "turn_detection.kind", "server_vad"),
        ("turn_detection = { eagerness = \"low\" }\n", "turn_detection.eagerness", "no such key"),
        ("limits = { session = \"2h\" }\n", "limits.session", "60m"),
        ("may = { transfer = { x = \"not a number\" } }\n", "may.transfer.x", "number"),
        (&tool.replace("NAME", "hang_up"), "tools[0].name", "another tool"),
        (&tool.replace("NAME", "two words"), "tools[0].name", "not a name"),
        (&format!("{tool}{tool}"), "tools[1].name", "another tool"),
        (&format!("{tool}parameters = \"x\"\n"), "tools[0].parameters", "not JSON"),
        (&format!("{tool}timeout = \"2m\"\n"), "tools[0].timeout", "60s"),
    ] {
        let problems = problems(more);
        assert!(problems.contains(&format!("bots.dealer.{key}")), "{more}: {problems}");
        assert!(problems.contains(word), "{more}: {problems}");
        assert!(problems.contains("patchcord.toml:"), "{problems}");
    }
}

#[test]
fn other_bots_have_none_of_an_agents_keys() {
    let text = "[bots.a]\ndialect = \"smartpbx\"\nurl = \"ws://h/\"\nmodel = \"m\"\n";
    let problems = Config::parse(text).unwrap_err().to_string();
    assert!(problems.contains("bots.a.model") && problems.contains("openai-realtime"), "{problems}");
}
