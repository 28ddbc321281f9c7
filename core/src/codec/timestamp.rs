//! Moments in time: the extension -1 of msgpack.

/// The code of the extension.
const CODE: i8 = -1;

/// A moment as text (RFC 3339, in UTC), if that is what the extension holds. It has three digits behind the second, as
/// JavaScript writes it, or six or nine where they say more.
///
/// ```
/// use polyfn_core::codec::timestamp;
/// assert_eq!(timestamp(-1, &[0, 0, 0, 0]).as_deref(), Some("1970-01-01T00:00:00.000Z"));
/// assert_eq!(timestamp(7, &[0, 0, 0, 0]), None);
/// ```
#[must_use]
pub fn timestamp(code: i8, data: &[u8]) -> Option<String> {
    let (seconds, nanos) = (code == CODE).then(|| parts(data)).flatten()?;
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    // years beyond these have no form in RFC 3339
    if !(0..=9999).contains(&year) || nanos > 999_999_999 {
        return None;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let (fraction, digits) = match nanos {
        nanos if nanos % 1_000_000 == 0 => (nanos / 1_000_000, 3),
        nanos if nanos % 1000 == 0 => (nanos / 1000, 6),
        nanos => (nanos, 9),
    };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:0digits$}Z"))
}

/// Seconds since 1970, and nanoseconds behind them.
fn parts(data: &[u8]) -> Option<(i64, u32)> {
    match data.len() {
        4 => Some((u32::from_be_bytes(data.try_into().ok()?).into(), 0)),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            Some(((both & 0x3_ffff_ffff).try_into().ok()?, (both >> 34).try_into().ok()?))
        }
        12 => {
            let (nanos, seconds) = data.split_at(4);
            Some((i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(nanos.try_into().ok()?)))
        }
        _ => None,
    }
}

/// The date of a day, counted from 1970-01-01, in the Gregorian calendar: years are counted from March on, so that the day
/// of leap years is their last.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days.saturating_add(719_468);
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era.saturating_mul(400) + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(seconds: i64, nanos: u32) -> Option<String> {
        let data: Vec<u8> = nanos.to_be_bytes().into_iter().chain(seconds.to_be_bytes()).collect();
        timestamp(CODE, &data)
    }

    #[test]
    fn moments_have_a_text() {
        for (seconds, nanos, expected) in [
            (951_782_400, 0, "2000-02-29T00:00:00.000Z"),
            (951_868_799, 999_000_000, "2000-02-29T23:59:59.999Z"),
            (4_107_542_400, 1000, "2100-03-01T00:00:00.000001Z"),
            (-1, 1, "1969-12-31T23:59:59.000000001Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00.000Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(long(seconds, nanos).as_deref(), Some(expected));
        }
        // as `new Date("2026-03-01T12:30:15.250Z")` and Python's datetime come
        let both = (250_000_000_u64 << 34) | 1_772_368_215;
        let text = timestamp(CODE, &both.to_be_bytes());
        assert_eq!(text.as_deref(), Some("2026-03-01T12:30:15.250Z"));
    }

    #[test]
    fn what_is_no_moment_has_none() {
        assert_eq!(timestamp(CODE, &[0; 5]), None);
        assert_eq!(long(0, 1_000_000_000), None);
        for seconds in [253_402_300_800, -62_167_219_201, i64::MAX, i64::MIN] {
            assert_eq!(long(seconds, 0), None);
        }
    }
}
