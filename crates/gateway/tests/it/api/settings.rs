//! What is configured, as the API shows it: everything but secrets.

use insta::assert_json_snapshot;

use super::client::get;
use crate::serve::Gateway;

const FILE: &str = "\
[[trunks]]\nname = \"carrier\"\nhost = \"sip.carrier.example\"\nusername = \"me\"\npassword = \"secret-trunk\"\nregister = false\noptions_interval = \"0s\"\n\
accept_from = [\"203.0.113.0/24\"]\nallow = [\"91*\"]\ncaller_ids = [\"7415100898\"]\ncountry = \"91\"\n\
[[extensions]]\nnumber = \"101\"\npassword = \"secret-extension\"\nname = \"Front desk\"\nallow = [\"91*\"]\n\
[[numbers]]\nnumber = \"18001234567\"\nbot = \"sales\"\ncountry = \"1\"\nfallback = \"busy\"\n\
[[numbers]]\nnumber = \"91*\"\nconfig_api = \"https://api.example.com/secret-path?key=secret-query\"\n\
config_api_headers = { Authorization = \"Bearer secret-header\" }\n\
[bots.sales]\nurl = \"wss://bot.example.com/secret-path?key=secret-query\"\ndialect = \"ivr-solutions\"\nname = \"Sales\"\n\
headers = { Authorization = \"Bearer secret-header\" }\naudio = { encoding = \"mulaw\", sample_rate = 8000 }\n";

#[tokio::test]
async fn what_is_configured_is_shown_without_a_secret() {
    let gateway = Gateway::start(FILE).await;
    let address = gateway.http();
    for resource in ["bots", "numbers", "trunks", "extensions"] {
        let answer = get(&address, &format!("/{resource}"), "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        let mut shown = answer.json();
        if let Some(line) = shown["data"][0].get_mut("line") {
            assert!(line["since_ms"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{line}");
            line["since_ms"] = 0.into();
        }
        assert_json_snapshot!(format!("configured_{resource}"), shown);
    }
    gateway.stop_at_once().await;
}
