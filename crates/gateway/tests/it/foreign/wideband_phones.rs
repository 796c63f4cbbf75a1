//! Foreign phones, vendors and bots with wide codecs: what they say comes back like itself, and digits arrive.

use std::time::Duration;

use super::bot::Bot;
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::{sound, vendor};

#[tokio::test]
async fn phones_with_g722_and_opus_hear_themselves_and_their_digits() {
    let folder = Folder::new("wideband");
    let gateway = Gateway::start(folder.path(), "").await;
    // Each way is coded once by the phone and once by us.
    for (codec, least) in [("G722", 0.99), ("opus", LEAST)] {
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

/// Seed 004 "mediaFormat object": opus from both ends, against libopus.
#[tokio::test]
async fn a_pbx_and_a_provider_that_speak_opus_hear_what_was_said() {
    let folder = Folder::new("smartpbx-opus");
    let caller = folder.file("caller.wav");
    let mut bot = Bot::start("opus-bot", "smartpbx-opus", &[], &caller, folder.path()).await;
    let settings = format!(
        "[bots.provider]\nurl = \"{}\"\ndialect = \"smartpbx\"\n\
         audio = {{ encoding = \"opus\", sample_rate = 48000 }}\n\
         [[numbers]]\nnumber = \"+18005550100\"\nbot = \"provider\"\n",
        bot.url
    );
    let gateway = Gateway::start(folder.path(), &settings).await;

    let heard = folder.file("vendor-heard.wav");
    let options = ["--seconds", "6", "--encoding", "opus", "--record", &heard];
    let url = gateway.ws_url("/ws/smartpbx/echo");
    let verdict = vendor::call("opus-vendor", "smartpbx", &url, &options, folder.path()).await;
    assert_eq!(verdict["ok"], true, "{verdict}");
    let hearing = sound::judge(&heard, 0.0, None).await;
    assert!(hearing.correlation() >= LEAST, "the PBX: {hearing:?}");

    let heard = folder.file("phone-heard.wav");
    let dial = Dial::new(gateway.sip_uri("+18005550100"), SECONDS, &heard);
    let call = phone::call("opus-phone", &dial, folder.path()).await;
    assert_eq!(call.summary["ok"], true, "{} {:?}", call.summary, call.events);
    let verdict = bot.verdict(Duration::from_secs(15)).await;
    assert_eq!(verdict["ok"], true, "{verdict}");
    let hearing = sound::judge(&caller, 0.0, None).await;
    assert!(hearing.correlation() >= LEAST, "the provider: {hearing:?}");
    let hearing = sound::judge(&heard, 0.0, None).await;
    assert!(hearing.correlation() >= LEAST_OF_TWO, "the phone: {hearing:?}");
    assert!(gateway.stop().await.success());
}

/// Median correlation of what one coder said, or a coder and its echo, and of what was coded by both one after the other
/// and once more by G.711.
const LEAST: f64 = 0.95;
const LEAST_OF_TWO: f64 = 0.92;
const SECONDS: f64 = 8.0;
