//! Times as people and programs write them in a query (RFC 3339).

/// Milliseconds since 1970 (UTC) of a time as in `2024-02-06T07:15:00.250Z` or `…T12:45:00+05:30`; none before 1970.
/// A space stands for the `+` that a query takes for one.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let at = time.rfind(['Z', 'z', '+', '-', ' '])?;
    let (clock, zone) = time.split_at_checked(at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    // A leap second is the first of the next minute.
    if !is_date || hour > 23 || minute > 59 || second > 60 || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let offset_s = offset(zone)?;
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_s;
    u64::try_from(seconds * 1_000 + ms).ok()
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    let seconds = hours * 3_600 + minutes * 60;
    (hours <= 23 && minutes <= 59).then_some(if zone.starts_with('-') { -seconds } else { seconds })
}

/// Numbers of those widths between `sign`s.
fn numbers<const N: usize>(text: &str, sign: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut found = [0; N];
    let mut words = text.split(sign);
    for (number, width) in found.iter_mut().zip(widths) {
        let word = words.next().filter(|word| word.len() == width && is_digits(word))?;
        *number = word.parse().ok()?;
    }
    words.next().is_none().then_some(found)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day at its end.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::vocabulary::iso8601;

    #[test]
    fn a_time_that_was_written_is_read_again() {
        for ms in [0, 951_782_399_999, 951_782_400_000, 1_707_204_900_123, 4_102_444_800_000] {
            assert_eq!(parse_rfc3339(&iso8601(ms)), Some(ms), "{}", iso8601(ms));
        }
        let noon = parse_rfc3339("2024-02-29T12:00:00Z");
        for same in ["2024-02-29T17:30:00+05:30", "2024-02-29T17:30:00 05:30", "2024-02-29t07:00:00.0-05:00"]
        {
            assert_eq!(parse_rfc3339(same), noon, "{same}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for wrong in [
            "",
            "2024-02-06",
            "2024-02-06T07:15:00",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-02-06T24:00:00Z",
            "2024-02-06T07:15Z",
            "2024-2-6T07:15:00Z",
            "1969-12-31T23:59:59Z",
            "2024-02-06T07:15:00.Z",
            "2024-02-06T07:15:00+5",
            "2024-02-06T07:15:00é",
            "T",
        ] {
            assert_eq!(parse_rfc3339(wrong), None, "{wrong}");
        }
    }
}
