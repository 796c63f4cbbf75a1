//! Calls that were refused before there was a machine: they leave a record like every other.

use crate::vocabulary::{
    CallId, CallRecord, Cause, Counters, Direction, Moment, PhoneNumber, Quality, Reason, StreamId, WallClock,
};

/// What is known of a call that was refused at the door.
#[derive(Debug, Clone)]
pub struct RefusedCall {
    /// Our id of the call.
    pub call_id: CallId,
    /// Our id of its stream.
    pub stream_id: StreamId,
    /// The phone leg's own id.
    pub phone_leg_id: Box<str>,
    /// Who called.
    pub from: PhoneNumber,
    /// Who was called.
    pub to: PhoneNumber,
    /// Who began it.
    pub direction: Direction,
    /// The phone leg's language.
    pub phone_dialect: &'static str,
    /// Wall time.
    pub clock: WallClock,
    /// When it came.
    pub at: Moment,
}

/// The record of a call that was refused for `reason`.
pub fn refused_record(call: RefusedCall, reason: Reason) -> CallRecord {
    let cause = Cause::new(reason);
    CallRecord {
        call_id: call.call_id,
        stream_id: call.stream_id,
        phone_leg_id: call.phone_leg_id,
        from: call.from,
        to: call.to,
        direction: call.direction,
        bot: "".into(),
        phone_dialect: call.phone_dialect.into(),
        bot_dialect: "".into(),
        clock: call.clock,
        started_at: call.at,
        answered_at: None,
        earlier_bots: Vec::new(),
        bot_failed_at: None,
        ended_at: call.at,
        cause,
        hung_up_by: cause.by(),
        far_end: None,
        counters: Counters::default(),
        quality: Quality::default(),
        transfers: Vec::new(),
    }
}
