//! The languages that the portal speaks, and what depends on them besides words: direction, numbers, times.

/// A language of the portal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English, the source.
    #[default]
    English,
    /// German.
    German,
    /// English written from right to left, for people who check that nothing depends on the direction. Never
    /// chosen for somebody who did not ask for it by name (`ar-XB`, as browsers and Android call it).
    Mirrored,
}

impl Language {
    /// What people may choose: tag and name in the language itself.
    pub const OFFERED: [(Self, &'static str); 2] =
        [(Self::English, "English"), (Self::German, "Deutsch")];

    /// BCP 47 tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Mirrored => "ar-XB",
        }
    }

    /// `ltr` or `rtl`.
    pub fn direction(self) -> &'static str {
        match self {
            Self::Mirrored => "rtl",
            _ => "ltr",
        }
    }

    /// The language of a tag: `de`, `de-CH`, `EN`.
    pub fn of_tag(tag: &str) -> Option<Self> {
        if tag.eq_ignore_ascii_case("ar-XB") {
            return Some(Self::Mirrored);
        }
        let primary = tag.split('-').next().unwrap_or_default();
        Self::OFFERED
            .iter()
            .map(|(language, _)| *language)
            .find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The first of `wanted` that the portal speaks.
    pub fn choose(wanted: &[String]) -> Option<Self> {
        wanted.iter().find_map(|tag| Self::of_tag(tag))
    }

    /// How long ago `at` is from `now` (microseconds since 1970), or how long until, in words.
    pub(crate) fn relative(self, at: i64, now: i64) -> String {
        let seconds = (now - at) / 1_000_000;
        let german = self == Self::German;
        let (n, one, many, eine, viele) = match seconds.unsigned_abs() {
            s if s < 45 => {
                let words = match (german, seconds >= 0) {
                    (false, true) => "just now",
                    (false, false) => "in a moment",
                    (true, true) => "gerade eben",
                    (true, false) => "gleich",
                };
                return self.mirror(words.to_owned());
            }
            s if s < 45 * 60 => ((s + 30) / 60, "minute", "minutes", "Minute", "Minuten"),
            s if s < 22 * 3600 => ((s + 1800) / 3600, "hour", "hours", "Stunde", "Stunden"),
            s if s < 26 * 86_400 => ((s + 43_200) / 86_400, "day", "days", "Tag", "Tagen"),
            s if s < 320 * 86_400 => (
                (s + 1_314_000) / 2_628_000,
                "month",
                "months",
                "Monat",
                "Monaten",
            ),
            s => (
                (s + 15_768_000) / 31_536_000,
                "year",
                "years",
                "Jahr",
                "Jahren",
            ),
        };
        let n = n.max(1);
        let unit = match (german, n) {
            (false, 1) => one,
            (false, _) => many,
            (true, 1) => eine,
            (true, _) => viele,
        };
        self.mirror(match (german, seconds >= 0) {
            (false, true) => format!("{n} {unit} ago"),
            (false, false) => format!("in {n} {unit}"),
            (true, true) => format!("vor {n} {unit}"),
            (true, false) => format!("in {n} {unit}"),
        })
    }

    /// Day and time in UTC.
    pub(crate) fn date_time(self, at: jiff::Timestamp) -> String {
        match self {
            Self::German => {
                const MONTHS: [&str; 12] = [
                    "Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.",
                    "Nov.", "Dez.",
                ];
                let day = at.to_zoned(jiff::tz::TimeZone::UTC);
                let month = MONTHS
                    .get(usize::from(day.month().unsigned_abs()).wrapping_sub(1))
                    .copied()
                    .unwrap_or_default();
                format!(
                    "{}. {month} {}, {:02}:{:02} UTC",
                    day.day(),
                    day.year(),
                    day.hour(),
                    day.minute()
                )
            }
            _ => at.strftime("%-d %b %Y, %H:%M UTC").to_string(),
        }
    }

    /// A size in binary units.
    pub(crate) fn bytes(self, size: f64) -> String {
        let mut size = size;
        let mut unit = "B";
        for next in ["KiB", "MiB", "GiB", "TiB"] {
            if size.abs() < 1024.0 {
                break;
            }
            size /= 1024.0;
            unit = next;
        }
        if unit == "B" || size.abs() >= 100.0 {
            format!("{size:.0} {unit}")
        } else {
            let text = format!("{size:.1} {unit}");
            if self == Self::German {
                text.replacen('.', ",", 1)
            } else {
                text
            }
        }
    }

    /// A number as people write it: `12,345.5`, in German `12.345,5`.
    pub(crate) fn number(self, plain: &str) -> String {
        let (thousands, point) = if self == Self::German {
            ('.', ',')
        } else {
            (',', '.')
        };
        let (sign, digits) = plain
            .strip_prefix('-')
            .map_or(("", plain), |rest| ("-", rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if !whole.bytes().all(|b| b.is_ascii_digit())
            || !fraction.bytes().all(|b| b.is_ascii_digit())
        {
            return plain.to_owned();
        }
        let mut out = sign.to_owned();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at) % 3 == 0 {
                out.push(thousands);
            }
            out.push(digit);
        }
        if !fraction.is_empty() && fraction != "0" {
            out.push(point);
            out.push_str(fraction);
        }
        out
    }

    /// Which of two forms a count takes.
    pub(crate) fn is_one(self, n: f64) -> bool {
        // English and German agree for what people count.
        (n - 1.0).abs() < f64::EPSILON
    }

    /// English for the mirrored language: the letters stay, their order turns.
    pub(crate) fn mirror(self, english: String) -> String {
        if self == Self::Mirrored {
            format!("\u{202e}{english}\u{202c}")
        } else {
            english
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_is_spoken_is_chosen() {
        let choose = |tags: &[&str]| {
            Language::choose(&tags.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(choose(&["fr", "de-ch", "en"]), Some(Language::German));
        assert_eq!(choose(&["EN-gb", "de"]), Some(Language::English));
        assert_eq!(choose(&["ar-xb"]), Some(Language::Mirrored));
        assert_eq!(choose(&["ar", "fr"]), None);
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn times_sizes_and_numbers_follow_the_language() {
        let (en, de) = (Language::English, Language::German);
        let minute = 60 * 1_000_000;
        assert_eq!(en.relative(0, 10 * minute), "10 minutes ago");
        assert_eq!(en.relative(0, minute), "1 minute ago");
        assert_eq!(de.relative(0, 10 * minute), "vor 10 Minuten");
        assert_eq!(de.relative(0, 1440 * minute), "vor 1 Tag");
        assert_eq!(de.relative(120 * minute, 0), "in 2 Stunden");
        assert_eq!(de.relative(0, 0), "gerade eben");
        assert_eq!(en.bytes(1536.0), "1.5 KiB");
        assert_eq!(de.bytes(1536.0), "1,5 KiB");
        assert_eq!(de.bytes(100.0), "100 B");
        assert_eq!(en.number("1234567.5"), "1,234,567.5");
        assert_eq!(de.number("-1234567.5"), "-1.234.567,5");
        assert_eq!(de.number("NaN"), "NaN");
        let at = jiff::Timestamp::from_second(1_790_000_000).unwrap();
        assert_eq!(en.date_time(at), "21 Sep 2026, 14:13 UTC");
        assert_eq!(de.date_time(at), "21. Sept. 2026, 14:13 UTC");
    }
}
