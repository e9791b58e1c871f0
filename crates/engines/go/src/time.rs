//! Instants with a zone, layouts and durations, after Go's `time`.

mod duration;
mod layout;
mod zone;

pub use duration::Duration;
pub use layout::{LayoutError, RFC3339};
pub use zone::Zone;

use std::cmp::Ordering;

const DAY: i64 = 86_400;

/// The last year a calendar is computed for; beyond it the clock stands still.
const MAX_SECONDS: i64 = 400 * 366 * DAY * 250;

/// An instant, shown in a zone.
#[derive(Debug, Clone)]
pub struct Time {
    seconds: i64,
    nanos: u32,
    zone: Zone,
}

/// An instant taken apart in its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year, negative before year zero.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
    /// 0 is Sunday.
    pub weekday: u32,
    /// 1 to 366.
    pub year_day: u32,
}

impl Time {
    /// The instant `seconds` and `nanos` after 1970-01-01T00:00:00Z, shown in UTC.
    pub fn from_unix(seconds: i64, nanos: u32) -> Self {
        let seconds = seconds.clamp(-MAX_SECONDS, MAX_SECONDS);
        Self {
            seconds,
            nanos: nanos.min(999_999_999),
            zone: Zone::utc(),
        }
    }

    /// Go's zero time: 0001-01-01T00:00:00Z.
    pub fn zero() -> Self {
        Self::from_unix(days_from_civil(1, 1, 1) * DAY, 0)
    }

    /// Whether this is Go's zero time.
    pub fn is_zero(&self) -> bool {
        self.seconds == days_from_civil(1, 1, 1) * DAY && self.nanos == 0
    }

    /// The same instant shown in another zone.
    #[must_use]
    pub fn in_zone(&self, zone: Zone) -> Self {
        Self {
            zone,
            ..self.clone()
        }
    }

    /// The instant a calendar in a zone shows.
    pub fn from_civil(civil: &Civil, nanos: u32, zone: Zone) -> Self {
        let local = days_from_civil(civil.year, civil.month, civil.day) * DAY
            + i64::from(civil.hour) * 3600
            + i64::from(civil.minute) * 60
            + i64::from(civil.second);
        // The offset at the guess decides, as upstream tries the offset before and after.
        let mut offset = i64::from(zone.at(local).1);
        let second = i64::from(zone.at(local - offset).1);
        if second != offset {
            offset = second;
        }
        let mut time = Self::from_unix(local - offset, nanos);
        time.zone = zone;
        time
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second.
    pub fn nanos(&self) -> u32 {
        self.nanos
    }

    /// Nanoseconds since 1970, saturating.
    pub fn unix_nanos(&self) -> i64 {
        self.seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(i64::from(self.nanos))
    }

    /// The zone's short name and its offset in seconds east of UTC at this instant.
    pub fn zone(&self) -> (String, i32) {
        self.zone.at(self.seconds)
    }

    /// The calendar in the zone.
    pub fn civil(&self) -> Civil {
        let local = self.seconds + i64::from(self.zone.at(self.seconds).1);
        let days = local.div_euclid(DAY);
        let second = u32::try_from(local.rem_euclid(DAY)).unwrap_or(0);
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            weekday: u32::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
            year_day: u32::try_from(days - days_from_civil(year, 1, 1) + 1).unwrap_or(1),
        }
    }

    /// The instant a duration later.
    #[must_use]
    pub fn add(&self, duration: Duration) -> Self {
        let total = i128::from(self.seconds) * 1_000_000_000
            + i128::from(self.nanos)
            + i128::from(duration.nanos());
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        let nanos = u32::try_from(total.rem_euclid(1_000_000_000)).unwrap_or(0);
        Self::from_unix(seconds, nanos).in_zone(self.zone.clone())
    }

    /// The calendar moved by years, months and days, overflow carried on.
    #[must_use]
    pub fn add_date(&self, years: i64, months: i64, days: i64) -> Self {
        let civil = self.civil();
        let month = civil.year.saturating_add(years).saturating_mul(12) + i64::from(civil.month)
            - 1
            + months.clamp(-1_000_000, 1_000_000);
        let first = days_from_civil(
            month.div_euclid(12),
            u32::try_from(month.rem_euclid(12) + 1).unwrap_or(1),
            1,
        );
        let moved = first + i64::from(civil.day) - 1 + days.clamp(-400_000_000, 400_000_000);
        let (year, month, day) = civil_from_days(moved);
        Self::from_civil(
            &Civil {
                year,
                month,
                day,
                ..civil
            },
            self.nanos,
            self.zone.clone(),
        )
    }

    /// The time from `earlier` to this one, saturating.
    pub fn since(&self, earlier: &Self) -> Duration {
        let nanos = i128::from(self.seconds - earlier.seconds) * 1_000_000_000
            + i128::from(self.nanos)
            - i128::from(earlier.nanos);
        let bounded = nanos.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Duration::from_nanos(i64::try_from(bounded).unwrap_or(i64::MAX))
    }

    /// Prints by a layout such as `2006-01-02`.
    pub fn format(&self, layout: &str) -> String {
        layout::format(self, layout)
    }

    /// Reads a text by a layout; without a zone in it the text is read in `zone`.
    pub fn parse(layout: &str, text: &str, zone: &Zone) -> Result<Self, LayoutError> {
        layout::parse(layout, text, zone)
    }
}

impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        (self.seconds, self.nanos) == (other.seconds, other.nanos)
    }
}

impl Eq for Time {}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let doe = shifted.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = u32::try_from(doy - (153 * mp + 2) / 5 + 1).unwrap_or(1);
    let month = u32::try_from(if mp < 10 { mp + 3 } else { mp - 9 }).unwrap_or(1);
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
