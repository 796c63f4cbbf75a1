//! A configuration that is replaced while calls are up.

use patchcord_sip::LegEvent;

use super::phone::{Phone, pcmu};
use super::{Gateway, cause};

#[tokio::test]
async fn a_call_that_is_up_keeps_its_bot_and_its_labels_and_the_next_one_gets_the_new_settings() {
    let number = "[[numbers]]\nnumber = \"18005550199\"\nbot = \"echo\"\n";
    let gateway = Gateway::named("delhi", number).await;
    let mut phone = Phone::call("18005550199", &gateway.sip()).await;

    let mut config = (*gateway.app.exchange().config()).clone();
    config.numbers.clear();
    config.server.id = "mumbai".to_owned();
    gateway.app.exchange().reconfigure(config);

    let mut heard = phone.talk(10, |frame| [0x80 + frame as u8; 160]).await;
    phone.listen_until(&mut heard, |heard| heard.iter().any(|frame| frame[0] == 0x89)).await;
    let mut next = Phone::dial("18005550199", &gateway.sip(), &[pcmu()]).await;
    let refused = next.event(LegEvent::is_terminal).await;
    assert!(matches!(refused, LegEvent::Failed { code: 404, .. }), "{refused:?}");
    phone.hang_up().await;

    let records = gateway.stop().await;
    let told: Vec<_> = records.iter().map(|record| (cause(record), record["server"].clone())).collect();
    let refused = ("caller/unknown_number".to_owned(), "mumbai".into());
    assert_eq!(told, [refused, ("completed/caller_hung_up".to_owned(), "delhi".into())]);
}
