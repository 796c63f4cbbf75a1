//! Causes of Q.850: what their numbers are called (§2.2.5 to §2.2.7, table 1), and which one a SIP status stands for.

/// The Q.850 cause for a SIP status (RFC 3398 §8.2.6.1). 408, 102 there, is 18 like 480: nobody responded, which is what
/// makes it no answer and no failure (seed 000 §8). 488 and 606 are 88, and statuses beyond the table 31: among them 487,
/// with which somebody on the way gave up a call that we did not cancel.
pub const fn q850_of_status(status: u16) -> u8 {
    match status {
        404 | 485 | 604 => 1,
        486 | 600 => 17,
        408 | 480 => 18,
        401 | 402 | 403 | 407 | 603 => 21,
        410 => 22,
        482 | 483 => 25,
        484 => 28,
        502 => 38,
        400 | 481 | 500 | 503 => 41,
        405 => 63,
        406 | 415 | 501 => 79,
        488 | 606 => 88,
        504 => 102,
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => 127,
        _ => 31,
    }
}

/// The text of a cause number; of one that the table does not name, its class's.
pub const fn q850_text(cause: u8) -> &'static str {
    match cause {
        1 => "Unallocated Number",
        2 => "No Route To Transit Network",
        3 => "No Route To Destination",
        6 => "Channel Unacceptable",
        8 => "Preemption",
        16 => "Normal Clearing",
        17 => "User Busy",
        18 => "No User Responding",
        19 => "No Answer",
        20 => "Subscriber Absent",
        21 => "Call Rejected",
        22 => "Number Changed",
        26 => "Non-Selected User Clearing",
        27 => "Destination Out Of Order",
        28 => "Invalid Number Format",
        29 => "Facility Rejected",
        31 => "Normal, Unspecified",
        34 => "No Circuit Available",
        38 => "Network Out Of Order",
        41 => "Temporary Failure",
        42 => "Switching Equipment Congestion",
        44 => "Requested Circuit Not Available",
        47 => "Resource Unavailable",
        50 => "Facility Not Subscribed",
        55 => "Incoming Calls Barred",
        57 => "Bearer Capability Not Authorized",
        58 => "Bearer Capability Not Available",
        63 => "Service Not Available",
        65 => "Bearer Capability Not Implemented",
        69 => "Facility Not Implemented",
        79 => "Service Not Implemented",
        87 => "User Not Member Of Closed User Group",
        88 => "Incompatible Destination",
        95 => "Invalid Message",
        102 => "Recovery On Timer Expiry",
        111 => "Protocol Error",
        127 => "Interworking",
        0..=31 => "Normal, Unspecified",
        32..=47 => "Resource Unavailable",
        48..=63 => "Service Not Available",
        64..=79 => "Service Not Implemented",
        80..=95 => "Invalid Message",
        96..=111 => "Protocol Error",
        112.. => "Interworking",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::REASONS;

    #[test]
    fn the_causes_of_our_own_reasons_have_the_texts_of_this_table() {
        for row in &REASONS {
            assert_eq!(row.q850_text, q850_text(row.q850), "{}", row.word);
        }
    }

    #[test]
    fn a_cause_without_a_name_has_its_class_s() {
        assert_eq!((q850_text(39), q850_text(99)), ("Resource Unavailable", "Protocol Error"));
    }
}
