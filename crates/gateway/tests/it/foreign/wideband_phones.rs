//! Foreign phones with wide codecs: what they say comes back like itself, and their digits arrive.

use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::sound;

#[tokio::test]
async fn phones_with_g722_and_opus_hear_themselves_and_their_digits() {
    let folder = Folder::new("wideband");
    let gateway = Gateway::start(folder.path(), "").await;
    // Each way is coded once by the phone and once by us.
    for (codec, least) in [("G722", 0.99), ("opus", 0.95)] {
        let heard = folder.file(&format!("{codec}-echo.wav"));
        let dial = Dial { codec, ..Dial::new(gateway.sip_uri("echo"), SECONDS, &heard) };
        let call = phone::call(&format!("{codec}-echo"), &dial, folder.path()).await;
        assert_eq!(call.summary["ok"], true, "{codec}: {} {:?}", call.summary, call.events);
        let hearing = sound::judge(&heard, 0.0, None).await;
        assert!(hearing.correlation() >= least, "{codec}: {hearing:?}");
        assert!(hearing.silent() < 1.0, "{codec}: {hearing:?}");

        let heard = folder.file(&format!("{codec}-digits.wav"));
        let digits = Some("512@2s".to_owned());
        let dial = Dial { codec, digits, ..Dial::new(gateway.sip_uri("dtmf"), SECONDS, &heard) };
        let call = phone::call(&format!("{codec}-digits"), &dial, folder.path()).await;
        assert_eq!(call.summary["ok"], true, "{codec}: {} {:?}", call.summary, call.events);
        // Each key comes back as its tone.
        let hearing = sound::judge(&heard, 0.0, None).await;
        assert!(hearing.digits().starts_with("512"), "{codec}: {hearing:?}");
    }
    assert!(gateway.stop().await.success());
}

const SECONDS: f64 = 8.0;
