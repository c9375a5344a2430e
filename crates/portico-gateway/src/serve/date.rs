//! The value of `date`, made once a second.

use std::{
    cell::Cell,
    time::{Duration, UNIX_EPOCH},
};

use portico_host::{Clock, SystemClock};

const LENGTH: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();

thread_local! {
    /// Seconds since 1970, and what they are called.
    static NOW: Cell<(u64, [u8; LENGTH])> = const { Cell::new((u64::MAX, [0; LENGTH])) };
}

/// Appends the time of day as HTTP writes it.
pub(super) fn write(into: &mut Vec<u8>) {
    let seconds = u64::try_from(SystemClock.now()).unwrap_or(0) / 1_000_000;
    let (of, mut text) = NOW.get();
    if of != seconds {
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        if let Ok(date) = date.as_bytes().try_into() {
            text = date;
            NOW.set((seconds, text));
        }
    }
    into.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_date_of_http() {
        let mut text = Vec::new();
        write(&mut text);
        let text = String::from_utf8(text).unwrap();
        let date = httpdate::parse_http_date(&text).unwrap();
        assert!(
            date > UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            "{text}"
        );
        let mut again = Vec::new();
        write(&mut again);
        assert_eq!(again.len(), LENGTH);
    }
}
