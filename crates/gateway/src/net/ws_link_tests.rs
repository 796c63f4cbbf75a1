//! Links over real sockets, with the clock in the test's hand.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use patchcord_core::call::SocketEnd;
use patchcord_core::dialect::{Wire, WireClass};
use patchcord_core::vocabulary::Moment;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, tungstenite};

use super::super::outbox::Pushed;
use super::super::transport::Transport;
use super::{Received, WsLink, ws_config};

const FRAME: Duration = Duration::from_millis(20);

/// A link as client, and the other end of its connection.
async fn pair() -> (WsLink, WebSocketStream<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let near =
        WebSocketStream::from_raw_socket(Transport::plain(near), Role::Client, Some(ws_config())).await;
    let far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
    (WsLink::new(near, FRAME, Moment::START), far)
}

async fn write(link: &mut WsLink, now: Moment) {
    poll_fn(|cx| {
        link.poll_write(cx, now);
        Poll::Ready(())
    })
    .await;
}

async fn read(link: &mut WsLink, now: Moment) -> Received {
    poll_fn(|cx| link.poll_read(cx, now)).await
}

/// Whether nothing can be read at once.
async fn reads_nothing(link: &mut WsLink, now: Moment) -> bool {
    poll_fn(|cx| Poll::Ready(link.poll_read(cx, now).is_pending())).await
}

#[tokio::test]
async fn what_was_sent_arrives_in_order_and_the_close_code_comes_last() {
    let (mut link, mut far) = pair().await;
    link.send(WireClass::Control, Wire::Text("{}"));
    link.send(WireClass::Audio, Wire::Binary(&[1, 2]));
    link.close(1000);
    write(&mut link, Moment::START).await;
    assert_eq!(far.next().await.unwrap().unwrap(), Message::text("{}"));
    assert_eq!(far.next().await.unwrap().unwrap(), Message::binary(vec![1, 2]));
    let Message::Close(Some(frame)) = far.next().await.unwrap().unwrap() else { panic!("no close") };
    assert_eq!(u16::from(frame.code), 1000);
    let finish = poll_fn(|cx| link.poll_closed(cx, Moment::START));
    let ((), _) = tokio::join!(finish, far.next());
}

#[tokio::test]
async fn a_close_frame_tells_its_code_and_a_broken_connection_is_a_reset() {
    let (mut link, mut far) = pair().await;
    far.send(Message::text("last word")).await.unwrap();
    let code = tungstenite::protocol::frame::coding::CloseCode::Error;
    far.close(Some(tungstenite::protocol::CloseFrame { code, reason: "".into() })).await.unwrap();
    assert_eq!(read(&mut link, Moment::START).await, Received::Text("last word".into()));
    assert_eq!(read(&mut link, Moment::START).await, Received::Ended(SocketEnd::Closed(1011)));
    // The other end's close frame is answered while the call still lives.
    write(&mut link, Moment::START).await;
    assert!(far.next().await.is_none_or(|answer| answer.is_ok_and(|answer| answer.is_close())));
    let (mut link, far) = pair().await;
    drop(far);
    assert_eq!(read(&mut link, Moment::START).await, Received::Ended(SocketEnd::Reset));
}

#[tokio::test]
async fn an_end_that_reads_nothing_is_stalled_five_seconds_after_the_socket_filled_up() {
    let (mut link, _far) = pair().await;
    let text = "x".repeat(64 << 10);
    let blocked_at = Moment::from_millis(100);
    while link.outbox.stalled_at().is_none() {
        assert_eq!(link.send(WireClass::Control, Wire::Text(&text)), Pushed::Queued);
        write(&mut link, blocked_at).await;
    }
    write(&mut link, Moment::from_millis(5_000)).await;
    assert!(!link.handle_timeout(Moment::from_millis(5_099)));
    assert!(link.poll_timeout() <= Some(Moment::from_millis(5_100)));
    assert!(link.handle_timeout(Moment::from_millis(5_100)));
    // Given up: nothing more is due, nothing more is told, and nothing has to be waited for.
    assert_eq!(link.poll_timeout(), None);
    assert!(!link.handle_timeout(Moment::from_millis(60_000)));
    poll_fn(|cx| link.poll_closed(cx, Moment::from_millis(60_000))).await;
}

#[tokio::test]
async fn audio_that_finds_the_socket_full_drops_the_oldest_audio_and_no_control() {
    let (mut link, mut far) = pair().await;
    let bulk = vec![0; 64 << 10];
    while link.outbox.stalled_at().is_none() {
        link.send(WireClass::Control, Wire::Binary(&bulk));
        write(&mut link, Moment::START).await;
    }
    let mut dropped = 0;
    for number in 0..60u8 {
        dropped += usize::from(link.send(WireClass::Audio, Wire::Binary(&[number])) == Pushed::DroppedAudio);
    }
    link.send(WireClass::Control, Wire::Text("control"));
    assert_eq!(dropped, 10);
    let collect = async {
        let mut audio = Vec::new();
        loop {
            match far.next().await.unwrap().unwrap() {
                Message::Binary(bytes) if bytes.len() == 1 => audio.push(bytes[0]),
                Message::Text(_) => return audio,
                _ => {}
            }
        }
    };
    let pump = poll_fn(|cx| {
        link.poll_write(cx, Moment::START);
        Poll::<()>::Pending
    });
    let audio = tokio::select! { audio = collect => audio, () = pump => unreachable!() };
    assert_eq!(audio, (10..60).collect::<Vec<u8>>());
}

#[tokio::test]
async fn an_end_that_answers_no_ping_for_25_seconds_is_stalled_and_a_pong_is_an_answer() {
    let (mut link, mut far) = pair().await;
    assert_eq!(link.poll_timeout(), Some(Moment::from_millis(10_000)));
    assert!(!link.handle_timeout(Moment::from_millis(10_000)));
    write(&mut link, Moment::from_millis(10_000)).await;
    assert!(matches!(far.next().await.unwrap().unwrap(), Message::Ping(_)));
    // The far library answers by itself when it is flushed; the text shows that the pong was read before it.
    far.flush().await.unwrap();
    far.send(Message::text("after")).await.unwrap();
    assert_eq!(read(&mut link, Moment::from_millis(11_000)).await, Received::Text("after".into()));
    assert!(!link.handle_timeout(Moment::from_millis(35_999)));
    assert!(link.handle_timeout(Moment::from_millis(36_000)));
}

#[tokio::test]
async fn a_paused_link_reads_nothing_and_is_not_called_stalled_for_it() {
    let (mut link, mut far) = pair().await;
    link.pause();
    far.send(Message::text("waits")).await.unwrap();
    assert!(reads_nothing(&mut link, Moment::START).await);
    assert!(!link.handle_timeout(Moment::from_millis(60_000)));
    link.resume(Moment::from_millis(60_000));
    assert_eq!(read(&mut link, Moment::from_millis(60_000)).await, Received::Text("waits".into()));
    assert!(!link.handle_timeout(Moment::from_millis(84_999)));
    assert!(link.handle_timeout(Moment::from_millis(85_000)));
}

#[tokio::test]
async fn a_message_beyond_the_bound_ends_the_link_with_1009() {
    let (mut link, far) = pair().await;
    let (mut said, mut heard) = far.split();
    let sending = async {
        // The rest of it has no reader.
        let _ = said.send(Message::binary(vec![0; (1 << 20) + 1])).await;
        std::future::pending::<()>().await;
    };
    let receiving = async {
        let received = read(&mut link, Moment::START).await;
        write(&mut link, Moment::START).await;
        (received, heard.next().await.unwrap().unwrap())
    };
    let (received, close) = tokio::select! { both = receiving => both, () = sending => unreachable!() };
    assert_eq!(received, Received::Ended(SocketEnd::Reset));
    let Message::Close(Some(frame)) = close else { panic!("{close:?}") };
    assert_eq!(u16::from(frame.code), 1009);
}
