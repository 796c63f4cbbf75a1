//! A foreign phone that registers as an extension and takes calls: baresip.

use std::time::Duration;

use serde_json::Value;

use super::folder::Folder;
use super::gateway::Gateway;
use super::peer;
use super::program::Program;

/// A registered phone that takes one call after two seconds and records what it hears.
pub struct Agent {
    phone: Program,
    heard: String,
}

impl Agent {
    /// Registers the phone `name` as the extension `number`; `options` as `baresip.py` has them.
    pub async fn register(
        gateway: &Gateway,
        folder: &Folder,
        (name, number): (&str, &str),
        options: &[&str],
    ) -> Self {
        let heard = folder.file(&format!("{name}.wav"));
        let (at, work) = (gateway.sip.to_string(), folder.file(&format!("{name}-baresip")));
        let own =
            ["wait", "--from", number, "--registrar", &at, "--password", PASSWORD, "--answer-after", "2"];
        let more = ["--record", &heard, "--workdir", &work];
        let arguments = own.into_iter().chain(more).chain(options.iter().copied());
        let mut phone = Program::start(name, peer("baresip.py"), arguments, folder.path());
        let told = phone.json_after("", Duration::from_secs(30)).await;
        assert_eq!(told["event"], "registered", "{told}");
        Self { phone, heard }
    }

    /// What it tells last, and where what it heard is.
    pub async fn finish(self) -> (Value, String) {
        let (lines, _) = self.phone.finish(Duration::from_secs(60)).await;
        (serde_json::from_str(lines.last().unwrap()).unwrap(), self.heard)
    }
}

/// The settings of extensions with these numbers.
pub fn extensions(numbers: &[&str]) -> String {
    let tables = numbers.iter();
    tables
        .map(|number| format!("[[extensions]]\nnumber = \"{number}\"\npassword = \"{PASSWORD}\"\n"))
        .collect()
}

/// What every extension proves that it knows.
pub const PASSWORD: &str = "correct-horse-battery";
