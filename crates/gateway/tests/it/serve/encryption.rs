//! SRTP by SDES between a real caller and the gateway, for each setting of both.

use std::time::Duration;

use patchcord::caller::line::{Dial, Phone};
use patchcord::caller::load::{self, LoadPlan, LoadReport};
use patchcord::clock::Clock;
use patchcord_core::media::g711::Law;
use patchcord_sip::sdp::Protection;

use super::{Gateway, cause};

/// Three calls for a second and what became of them, with the records that they left.
async fn call(setting: &str, srtp: Protection) -> (LoadReport, Vec<serde_json::Value>) {
    let gateway = Gateway::start(&format!("srtp = \"{setting}\"\n")).await;
    let dial =
        Dial { target: format!("sip:echo@{}", gateway.sip()), from: "1001".to_owned(), law: Law::Mu, srtp };
    let plan = LoadPlan {
        dial,
        calls: 3,
        per_second: 30.0,
        warm_up: Duration::from_millis(300),
        window: Duration::from_secs(1),
        drain: Duration::from_millis(500),
    };
    let phone = Phone::facing(&plan.dial.target, Clock::start()).await.unwrap();
    let report = load::run(&phone, &plan, &mut |_| {}).await.unwrap();
    phone.close().await;
    (report, gateway.stop().await)
}

#[tokio::test]
async fn a_protected_caller_hears_itself_where_it_is_welcome_and_else_knows_why_not() {
    use Protection::{Off, Optional, Required};
    for (setting, srtp, refused) in [
        ("off", Off, None),
        ("off", Optional, None),
        ("off", Required, Some("upstream/no_common_srtp")),
        ("optional", Off, None),
        ("optional", Optional, None),
        ("optional", Required, None),
        ("required", Off, Some("upstream/srtp_required")),
        ("required", Optional, None),
        ("required", Required, None),
    ] {
        let (report, records) = call(setting, srtp).await;
        let name = format!("{setting} here, {srtp:?} there");
        assert_eq!(records.len(), 3, "{name}");
        if let Some(refused) = refused {
            assert_eq!(report.held, 0, "{name}");
            assert!(records.iter().all(|record| cause(record) == refused), "{name}: {records:?}");
            let ending = format!("{:?}", report.first_failure);
            assert!(ending.contains("status: 488"), "{name}: {ending}");
            continue;
        }
        assert_eq!((report.held, report.failed), (3, 0), "{name}: {:?}", report.first_failure);
        assert!(report.frames.sent >= 3 * 40, "{name}: {:?}", report.frames);
        // A machine that stands still for a moment costs a frame; a wrong key costs all.
        assert!(report.frames.heard * 10 >= report.frames.sent * 8, "{name}: {:?}", report.frames);
        for record in &records {
            assert_eq!(cause(record), "completed/caller_hung_up", "{name}");
            assert_eq!(record["counters"]["srtp_auth_failed"], 0, "{name}: {record}");
        }
    }
}
