//! The words for where a call stands and for what is told of it (seed 000 §8 and its callbacks).

use patchcord_core::vocabulary::CallOutcome;

/// Where a call stands, as API and callbacks say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallStatus {
    /// It exists.
    Initiated,
    /// It rings.
    Ringing,
    /// It was answered.
    InProgress,
    /// It is over.
    Ended(CallOutcome),
}

/// What is told of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventName {
    /// It exists.
    Initiated,
    /// It rings.
    Ringing,
    /// It was answered.
    InProgress,
    /// A transfer began.
    Transferring,
    /// It is over.
    Ended(CallOutcome),
    /// A recording can be fetched.
    Recording,
    /// What came of an agent's call: told by its webhook.
    Result,
}

impl CallStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Ended(CallOutcome::Completed),
        Self::Ended(CallOutcome::Busy),
        Self::Ended(CallOutcome::NoAnswer),
        Self::Ended(CallOutcome::Failed),
        Self::Ended(CallOutcome::Canceled),
    ];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Ended(outcome) => outcome.word(),
        }
    }

    /// The status of that word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Whether nothing can change any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

impl EventName {
    /// Every name.
    pub const ALL: [Self; 11] = [
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Transferring,
        Self::Ended(CallOutcome::Completed),
        Self::Ended(CallOutcome::Failed),
        Self::Ended(CallOutcome::Busy),
        Self::Ended(CallOutcome::NoAnswer),
        Self::Ended(CallOutcome::Canceled),
        Self::Recording,
        Self::Result,
    ];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initiated => "call.initiated",
            Self::Ringing => "call.ringing",
            Self::InProgress => "call.in-progress",
            Self::Transferring => "call.transferring",
            Self::Ended(CallOutcome::Completed) => "call.completed",
            Self::Ended(CallOutcome::Failed) => "call.failed",
            Self::Ended(CallOutcome::Busy) => "call.busy",
            Self::Ended(CallOutcome::NoAnswer) => "call.no-answer",
            Self::Ended(CallOutcome::Canceled) => "call.canceled",
            Self::Recording => "call.recording",
            Self::Result => "call.result",
        }
    }

    /// The name of that word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.word() == word)
    }

    /// Whether it tells the end of the call.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Ended(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_leads_back_to_what_it_names() {
        assert!(CallStatus::ALL.into_iter().all(|status| CallStatus::find(status.word()) == Some(status)));
        assert!(EventName::ALL.into_iter().all(|name| EventName::find(name.word()) == Some(name)));
        assert_eq!((CallStatus::find("over"), EventName::find("call.over")), (None, None));
    }

    #[test]
    fn the_event_of_an_end_is_the_word_of_the_status_behind_call() {
        for status in CallStatus::ALL {
            let CallStatus::Ended(outcome) = status else { continue };
            assert_eq!(EventName::Ended(outcome).word(), format!("call.{}", status.word()));
            assert!(status.is_final() && EventName::Ended(outcome).is_terminal());
        }
    }
}
