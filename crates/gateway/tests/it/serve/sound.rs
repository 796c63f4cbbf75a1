//! How a real call sounded: in its record and in the metrics.

use tokio::time::timeout;

use super::Gateway;
use super::doors::get;
use super::phone::{PATIENCE, Phone};

#[tokio::test]
async fn a_call_says_how_it_sounded_in_its_record_and_in_the_metrics() {
    let gateway = Gateway::start("").await;
    let mut phone = Phone::call("echo", &gateway.sip()).await;
    // Words of 400 ms with pauses of 800.
    phone.talk(180, |frame| if frame % 60 < 20 { [0x21; 160] } else { [0xFF; 160] }).await;
    phone.hang_up().await;
    let page = timeout(PATIENCE, async {
        loop {
            let page = get(&gateway.http(), "/metrics", "").await;
            if page.contains("\npatchcord_calls_active 0\n") {
                return page;
            }
        }
    });
    let page = page.await.expect("the call does not end");
    for line in [
        "patchcord_calls_audio_total{verdict=\"ok\"} 1",
        "patchcord_call_mos_bucket{way=\"from_phone\",le=\"+Inf\"} 1",
        "patchcord_call_packet_loss_ratio_bucket{way=\"from_phone\",le=\"0\"} 1",
        "patchcord_call_round_trip_seconds_count 0",
    ] {
        assert!(page.contains(&format!("\n{line}\n")), "{line} not in {page}");
    }
    let quality = gateway.stop().await[0]["quality"].clone();
    assert_eq!(quality["audio"], "ok", "{quality}");
    let from_phone = &quality["from_phone"];
    assert!((175..=180).contains(&from_phone["expected"].as_u64().unwrap()), "{quality}");
    assert_eq!((&from_phone["lost"], &from_phone["mos"]), (&0.into(), &4.4.into()), "{quality}");
    assert!(quality["playout"]["depth_ms"]["max"].as_f64() >= Some(20.0), "{quality}");
}
