//! One range of bytes of a file (RFC 9110 §14): what a player asks for when somebody moves its slider.

/// What of a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: no range was asked for, or one that is none of ours.
    Whole,
    /// These bytes, first and last.
    Part(u64, u64),
    /// Bytes that the file does not have.
    Nothing,
}

/// Reads the header `Range` for a file of `length` bytes. Of several ranges the answer may be the whole.
pub(super) fn read(header: Option<&str>, length: u64) -> Wanted {
    let Some((first, last)) = header
        .and_then(|header| header.strip_prefix("bytes="))
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Wanted::Whole;
    };
    let number = |text: &str| text.parse::<u64>().ok();
    let bounds = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
        (Some(first), None) if last.is_empty() => (first, length.saturating_sub(1)),
        // The last so many bytes.
        (None, Some(count)) if first.is_empty() && count > 0 => {
            (length.saturating_sub(count), length.saturating_sub(1))
        }
        (None, Some(0)) if first.is_empty() => return Wanted::Nothing,
        _ => return Wanted::Whole,
    };
    if bounds.0 < length { Wanted::Part(bounds.0, bounds.1) } else { Wanted::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_of_the_file_or_nothing_and_everything_else_is_the_whole() {
        for (header, wanted) in [
            ("bytes=0-", Wanted::Part(0, 99)),
            ("bytes=10-19", Wanted::Part(10, 19)),
            ("bytes=90-500", Wanted::Part(90, 99)),
            ("bytes=-5", Wanted::Part(95, 99)),
            ("bytes=-500", Wanted::Part(0, 99)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=x-", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("bytes=99999999999999999999-", Wanted::Whole),
        ] {
            assert_eq!(read(Some(header), 100), wanted, "{header}");
        }
        assert_eq!(read(None, 100), Wanted::Whole);
        assert_eq!(read(Some("bytes=0-"), 0), Wanted::Nothing);
    }
}
