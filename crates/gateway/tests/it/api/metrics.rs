//! `/metrics` as Prometheus wants it, and the dashboard that asks for it.

use std::collections::BTreeMap;

use super::client::get;
use crate::serve::Gateway;
use crate::serve::phone::Phone;

/// The metrics of a server that had a call, with their kinds; every sample is looked at on the way.
async fn metrics() -> BTreeMap<String, String> {
    let trunk = "[[trunks]]\nname = \"carrier\"\nhost = \"127.0.0.1\"\nport = 9\ntransport = \"udp\"\nallow = [\"91*\"]\n";
    let gateway = Gateway::start(trunk).await;
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    phone.talk(10, |_| [0x21; 160]).await;
    phone.hang_up().await;
    let page = get(&gateway.http(), "/metrics", "").await.text();
    gateway.stop().await;
    let (mut kinds, mut helped) = (BTreeMap::new(), None);
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, sentence) = help.split_once(' ').unwrap();
            assert!(sentence.len() > 3, "{line}");
            helped = Some(name.to_owned());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(helped.as_deref(), Some(name), "no help before {line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = family(name, &kinds);
            assert_eq!(helped.as_deref(), Some(family), "{line} does not stand below its type");
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
        }
    }
    kinds
}

/// The metric to which a sample's name belongs.
fn family<'a>(name: &'a str, kinds: &BTreeMap<String, String>) -> &'a str {
    let parts = ["_bucket", "_sum", "_count"];
    let of_histogram = parts.iter().find_map(|part| name.strip_suffix(part));
    of_histogram.filter(|family| kinds.get(*family).is_some_and(|kind| kind == "histogram")).unwrap_or(name)
}

#[tokio::test]
async fn every_metric_has_a_help_a_type_and_a_name_in_base_units() {
    let kinds = metrics().await;
    assert!(kinds.len() > 80, "{}", kinds.len());
    for (name, kind) in &kinds {
        assert!(name.starts_with("patchcord_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        let words: Vec<_> = name.split('_').collect();
        for foreign in ["ms", "milliseconds", "minutes", "hours", "kb", "percent"] {
            assert!(!words.contains(&foreign), "{name} is in no base unit");
        }
    }
}

#[tokio::test]
async fn every_metric_that_the_dashboard_asks_for_is_there() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grafana/patchcord.json");
    let dashboard = std::fs::read_to_string(path).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = parsed["panels"].as_array().unwrap();
    let asked: Vec<String> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .flat_map(|target| names(target["expr"].as_str().unwrap()))
        .collect();
    assert!(asked.len() >= 30, "{asked:?}");
    let kinds = metrics().await;
    for name in &asked {
        assert!(
            kinds.contains_key(family(name, &kinds)),
            "the dashboard asks for {name}, which is not there"
        );
    }
}

/// The metrics in an expression.
fn names(expression: &str) -> Vec<String> {
    let words = expression.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words.filter(|word| word.starts_with("patchcord_")).map(str::to_owned).collect()
}
