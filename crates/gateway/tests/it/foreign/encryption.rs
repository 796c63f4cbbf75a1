//! A foreign phone with SRTP (baresip): by invitation in RTP/AVP, by RTP/SAVP, and one without where it is required.

use futures_util::future::join_all;

use super::course::{Course, End};
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::report::{Row, conclude};
use super::sound;

/// A phone's wish, and whether the gateway that requires encryption takes it.
const PHONES: [(&str, &[&str]); 3] =
    [("plain", &[]), ("offered", &["--srtp", "offered"]), ("needed", &["--srtp", "needed"])];

#[tokio::test]
async fn an_encrypting_phone_hears_itself_and_a_plain_one_is_refused_where_it_has_to() {
    let folder = Folder::new("encryption");
    let seconds = Course::new().caller_seconds(End::Caller);
    for setting in ["optional", "required"] {
        let settings = format!("srtp = \"{setting}\"\n");
        let work = folder.path().join(setting);
        std::fs::create_dir(&work).unwrap();
        let gateway = Gateway::start(&work, &settings).await;
        let calls = PHONES.map(|(name, options)| {
            let (gateway, work) = (&gateway, &work);
            async move {
                let mut row = Row::new(format!("{name}, {setting}"));
                let heard = work.join(format!("{name}.wav")).display().to_string();
                let options = options.iter().map(|option| (*option).to_owned()).collect();
                let dial =
                    Dial { from: name, options, ..Dial::new(gateway.sip_uri("echo"), seconds, &heard) };
                let call = phone::call(name, &dial, work).await;
                let record = gateway.record("from", name).await;
                if setting == "required" && name == "plain" {
                    let refused = call.summary["established"] == false;
                    row.expect(refused, format!("it was not refused: {}", call.summary));
                    row.cell("-");
                    row.cell(call.summary["why"].as_str().unwrap_or("?"));
                    row.cause(record, "upstream/srtp_required");
                    return row;
                }
                row.expect(call.summary["ok"] == true, format!("{} {:?}", call.summary, call.events));
                row.hearing("the phone", &sound::judge(&heard, 0.0, None).await);
                row.cell("-");
                let record = row.cause(record, End::Caller.cause());
                // The phone's first packet, sent before it has read our key, is in the clear.
                let failed = record["counters"]["srtp_auth_failed"].as_u64();
                row.expect(failed <= Some(1), format!("{failed:?} packets were not authentic"));
                row
            }
        });
        let rows = join_all(calls).await;
        let log = gateway.log();
        conclude("srtp", &["hears itself", "refused", "cause"], &rows, &log);
        let media = log.matches("srtp PCMU").count();
        assert_eq!(media, 2, "calls whose log says that they are encrypted:\n{log}");
        assert_eq!(log.matches("its keys came over SIP without TLS").count(), 1, "said once:\n{log}");
        assert!(gateway.stop().await.success());
    }
}
