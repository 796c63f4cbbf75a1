//! Extensions call each other, are called by numbers, and call outside. Each phone is a gateway of its own that registers.

use std::time::Duration;

use patchcord::calls::{PlaceCall, PlacedBot};
use patchcord_core::vocabulary::Reason;
use patchcord_sip::{LegEvent, Rejection};
use tokio::time::{interval, timeout};

use super::carrier::Carrier;
use super::outbound::order;
use super::phone::{PATIENCE, Phone, pcmu};
use super::{Gateway, cause};

/// Whoever takes a transfer has to press a key; none of these calls is one.
const EXTENSIONS: &str = "\
    [[extensions]]\nnumber = \"101\"\npassword = \"one\"\nallow = [\"91*\", \"44*\"]\ncaller_id = \"18001234101\"\n\
    [[extensions]]\nnumber = \"102\"\npassword = \"two\"\n\
    [[extensions]]\nnumber = \"103\"\npassword = \"three\"\n\
    [[numbers]]\nnumber = \"18001234101\"\nextension = \"101\"\n\
    [[numbers]]\nnumber = \"18001234103\"\nextension = \"103\"\n\
    [transfers]\nconfirm = true\n";

/// The telephone of an extension of `house`: calls to it are taken as it says.
async fn phone(house: &Gateway, number: &str, password: &str, takes: &str) -> Gateway {
    let (host, port) =
        house.sip().rsplit_once(':').map(|(host, port)| (host.to_owned(), port.to_owned())).unwrap();
    let phone = Gateway::start(&format!(
        "[[trunks]]\nname = \"house\"\nhost = \"{host}\"\nport = {port}\ntransport = \"udp\"\nusername = \"{number}\"\n\
         password = \"{password}\"\nregister = true\noptions_interval = \"0s\"\nallow = [\"*\"]\n\
         [[numbers]]\nnumber = \"*\"\n{takes}\n"
    ))
    .await;
    until(|| house.exchange().locations.is_registered(number)).await;
    phone
}

const ECHO: &str = "bot = \"echo\"";
/// It says that nobody answers it.
const AWAY: &str = "extension = \"1\"\n[[extensions]]\nnumber = \"1\"\npassword = \"x\"";

/// Dials `to` at the phone of that extension; whoever answers hears an echo.
async fn dial(phone: &Gateway, number: &str, to: &str) {
    let echo = PlacedBot::Named("echo".to_owned());
    let call = PlaceCall { from: Some(number.to_owned()), bot: echo, ..order(to) };
    phone.exchange().place_call(call).await.unwrap();
}

async fn until(is_so: impl Fn() -> bool) {
    let looked = async {
        let mut tick = interval(Duration::from_millis(20));
        while !is_so() {
            tick.tick().await;
        }
    };
    timeout(PATIENCE, looked).await.expect("it does not get there");
}

#[tokio::test]
async fn an_extension_calls_another_one_and_learns_why_it_does_not_answer() {
    let house = Gateway::start(EXTENSIONS).await;
    let one = phone(&house, "101", "one", ECHO).await;
    let (two, away) =
        (phone(&house, "102", "two", "bot = \"tone\"").await, phone(&house, "103", "three", AWAY).await);
    dial(&one, "101", "102").await;
    until(|| {
        let handles = one.exchange().registry.handles();
        let heard = handles.first().map(|call| call.snapshot.lock().unwrap().counters.heard_ms);
        heard.is_some_and(|heard_ms| heard_ms >= 500)
    })
    .await;
    assert!(house.exchange().occupied.is_busy("101") && house.exchange().occupied.is_busy("102"));
    let call_id = one.exchange().registry.handles()[0].id.clone();
    one.hang_up(&call_id, Reason::Asked);
    until(|| house.exchange().registry.handles().is_empty()).await;
    // A phone that nobody answers, and an extension that is none.
    dial(&one, "101", "103").await;
    dial(&one, "101", "104").await;
    until(|| one.exchange().registry.handles().is_empty()).await;
    let dialled = one.stop().await;
    let status = |to: &str| dialled.iter().find(|record| record["to"] == to).unwrap()["sip_status"].clone();
    assert_eq!(
        (status("102"), status("103"), status("104")),
        (serde_json::Value::Null, 480.into(), 404.into())
    );
    let taken = two.stop().await;
    assert_eq!((&taken[0]["from"], taken.len()), (&"101".into(), 1), "within the house everybody is shown");
    away.stop().await;
    let records = house.stop().await;
    let of = |to: &str| records.iter().find(|record| record["to"] == to).unwrap();
    assert_eq!(of("102")["bot"], "dial:extension");
    assert_eq!(
        (of("102")["status"].as_str(), cause(of("102"))),
        (Some("completed"), "completed/caller_hung_up".to_owned())
    );
    assert_eq!(
        (of("103")["status"].as_str(), cause(of("103"))),
        (Some("no-answer"), "caller/unanswered".to_owned())
    );
    assert_eq!(cause(of("104")), "caller/unknown_number");
}

#[tokio::test]
async fn a_phone_that_declines_for_all_leaves_a_missed_call_on_the_others() {
    let house = Gateway::start(EXTENSIONS).await;
    let (mut desk, mut sofa) = (Carrier::start().await, Carrier::start().await);
    desk.register(&house.sip(), "103", "three");
    sofa.register(&house.sip(), "103", "three");
    until(|| house.exchange().locations.contacts("103").len() == 2).await;
    let _caller = Phone::dial("18001234103", &house.sip(), &[pcmu()]).await;
    let (declines, mut rings) = (desk.next().await, sofa.next().await);
    declines.ring().await;
    rings.ring().await;
    declines.leg.reject(Rejection::new(603, "Decline")).await.unwrap();
    let LegEvent::Cancelled { reason } = rings.end().await else { panic!("it was not cancelled") };
    assert!(reason.as_ref().is_some_and(|why| why.contains("Q.850;cause=21")), "{reason:?}");
    house.stop_at_once().await;
}

#[tokio::test]
async fn a_number_rings_the_phones_of_its_extension_whoever_calls() {
    let house = Gateway::start(EXTENSIONS).await;
    let one = phone(&house, "101", "one", ECHO).await;
    let mut caller = Phone::call("18001234101", &house.sip()).await;
    let heard = caller.talk(100, |frame| [0x20 + (frame % 8) as u8; 160]).await;
    assert!(
        heard.iter().filter(|payload| (0x20..0x28).contains(&payload[80])).count() > 50,
        "it hears itself"
    );
    caller.hang_up().await;
    // Nobody is registered there.
    let mut absent = Phone::dial("18001234103", &house.sip(), &[pcmu()]).await;
    let refused = absent.event(LegEvent::is_terminal).await;
    assert!(matches!(refused, LegEvent::Failed { code: 480, .. }), "{refused:?}");
    one.stop().await;
    let records = house.stop().await;
    let of = |to: &str| records.iter().find(|record| record["to"] == to).unwrap();
    assert_eq!(cause(of("18001234101")), "completed/caller_hung_up");
    assert_eq!(
        (of("18001234103")["status"].as_str(), cause(of("18001234103"))),
        (Some("no-answer"), "upstream/transfer_failed".to_owned())
    );
}

#[tokio::test]
async fn an_extension_calls_outside_what_it_may_and_nobody_else_does() {
    let mut carrier = Carrier::start().await;
    let trunk = carrier.trunk("carrier", "allow = [\"91*\"]\ncaller_ids = [\"18001234101\", \"7415100898\"]");
    let house = Gateway::start(&format!("{EXTENSIONS}{trunk}[outbound]\ncalls = 1\n")).await;
    let one = phone(&house, "101", "one", ECHO).await;
    let two = phone(&house, "102", "two", ECHO).await;
    dial(&one, "101", "919876543210").await;
    let mut course = carrier.next().await;
    assert_eq!(course.invitation.request_user, "919876543210");
    assert_eq!(course.invitation.from_user, "18001234101", "its caller_id");
    course.ring().await;
    assert!(course.answer().await);
    let mut clock = interval(Duration::from_millis(20));
    for sequence in 0..50 {
        clock.tick().await;
        course.speak(sequence, 0x21).await;
    }
    course.hear(|payload| payload == [0x21; 160]).await;
    // As many go out at a time as may.
    dial(&one, "101", "919876543211").await;
    until(|| one.exchange().registry.handles().len() == 1).await;
    course.leg.hang_up(None).await.unwrap();
    until(|| house.exchange().registry.handles().is_empty()).await;
    for number in ["91486", "91603", "91404"] {
        dial(&one, "101", number).await;
        until(|| one.exchange().registry.handles().is_empty()).await;
    }
    let seen = carrier.calls();
    // Only its own rule lets it, only the trunk's does, and a stranger who is on this machine.
    dial(&one, "101", "447700900000").await;
    dial(&two, "102", "919876543210").await;
    let mut stranger = Phone::dial("919876543210", &house.sip(), &[pcmu()]).await;
    let refused = stranger.event(LegEvent::is_terminal).await;
    assert!(matches!(refused, LegEvent::Failed { code: 404, .. }), "{refused:?}");
    let (dialled, not_allowed) = (one.stop().await, two.stop().await);
    let status = |to: &str| dialled.iter().find(|record| record["to"] == to).unwrap()["sip_status"].clone();
    assert_eq!([status("91486"), status("91603"), status("91404")], [486, 603, 404]);
    assert_eq!([status("919876543211"), status("447700900000")], [503, 404]);
    assert_eq!(not_allowed[0]["sip_status"], 404);
    assert_eq!((carrier.calls(), seen), (4, 4));
    let records = house.stop().await;
    let talked =
        records.iter().find(|record| record["to"] == "919876543210" && record["from"] == "101").unwrap();
    assert_eq!((&talked["bot"], cause(talked)), (&"dial:phone".into(), "completed/agent_hung_up".to_owned()));
    assert_eq!(talked["status"], "completed");
    carrier.stop().await;
}

#[tokio::test]
async fn a_phone_is_called_after_a_restart_without_having_registered_anew() {
    let house = Gateway::start(EXTENSIONS).await;
    let (sip, file) = (house.sip(), house.folder().join("registrations.json"));
    let mut desk = Carrier::start().await;
    desk.register(&sip, "103", "three");
    // It is written while the house stands: a power cut asks nobody.
    until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.contains("\"103\""))).await;
    let folder = house.stop_and_leave().await;
    let house = Gateway::after(folder, &sip, EXTENSIONS).await;
    assert_eq!(house.exchange().locations.contacts("103").len(), 1);
    let _caller = Phone::dial("18001234103", &house.sip(), &[pcmu()]).await;
    desk.next().await.ring().await;
    house.stop_at_once().await;
}
