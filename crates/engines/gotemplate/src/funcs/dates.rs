//! Times and durations. The local zone is UTC, as in a controller's container.

use std::rc::Rc;

use go::time::{Duration, Time, Zone};

use super::Function;
use super::args::Arguments;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{Method, Type, Value};

type Result = std::result::Result<Value, Fault>;

const ANY: Type = Type::Any;
const STR: Type = Type::String;
const TIME: Type = Type::Time;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("now", &[], |c, _| {
        Ok(Value::Time(Rc::new(c.shared.now.clone())))
    }),
    Function::fixed("ago", &[ANY], |c, a| {
        let since = c.shared.now.since(&instant(c, &a.any(0)));
        Ok(Value::from(
            since.round(Duration::from_seconds(1)).to_string(),
        ))
    }),
    Function::fixed("date", &[STR, ANY], |c, a| {
        Ok(shown(c, &a.text(0), &a.any(1), "UTC"))
    }),
    Function::fixed("htmlDate", &[ANY], |c, a| {
        Ok(shown(c, DAY, &a.any(0), "UTC"))
    }),
    Function::fixed("dateInZone", &[STR, ANY, STR], |c, a| {
        Ok(shown(c, &a.text(0), &a.any(1), &a.text(2)))
    }),
    Function::fixed("date_in_zone", &[STR, ANY, STR], |c, a| {
        Ok(shown(c, &a.text(0), &a.any(1), &a.text(2)))
    }),
    Function::fixed("htmlDateInZone", &[ANY, STR], |c, a| {
        Ok(shown(c, DAY, &a.any(0), &a.text(1)))
    }),
    Function::fixed("dateModify", &[STR, TIME], |_, a| {
        Ok(modified(a).unwrap_or_else(|_| a.any(1)))
    }),
    Function::fixed("date_modify", &[STR, TIME], |_, a| {
        Ok(modified(a).unwrap_or_else(|_| a.any(1)))
    }),
    Function::fixed("mustDateModify", &[STR, TIME], |_, a| modified(a)),
    Function::fixed("must_date_modify", &[STR, TIME], |_, a| modified(a)),
    Function::fixed("duration", &[ANY], duration),
    Function::fixed("durationRound", &[ANY], duration_round),
    Function::fixed("toDate", &[STR, STR], |_, a| {
        Ok(parsed(a).unwrap_or_else(|_| Value::Time(Rc::new(Time::zero()))))
    }),
    Function::fixed("mustToDate", &[STR, STR], |_, a| parsed(a)),
    Function::fixed("unixEpoch", &[TIME], |_, a| {
        Ok(Value::from(receiver(&a.any(0)).unix().to_string()))
    }),
];

const DAY: &str = "2006-01-02";

/// A time, or seconds since 1970 in an integer; anything else is the present.
fn instant(call: &Call<'_>, value: &Value) -> Time {
    match value {
        Value::Time(time) => (**time).clone(),
        Value::Int(seconds) | Value::Int64(seconds) => Time::from_unix(*seconds, 0),
        _ => call.shared.now.clone(),
    }
}

fn shown(call: &Call<'_>, layout: &str, value: &Value, zone: &str) -> Value {
    let zone = Zone::named(zone).unwrap_or_else(Zone::utc);
    Value::from(instant(call, value).in_zone(zone).format(layout))
}

fn modified(args: &[Value]) -> Result {
    let by = Duration::parse(&args.text(0)).map_err(|e| Fault::new(e.to_string()))?;
    Ok(Value::Time(Rc::new(receiver(&args.any(1)).add(by))))
}

fn parsed(args: &[Value]) -> Result {
    Time::parse(&args.text(0), &args.text(1), &Zone::utc())
        .map(|time| Value::Time(Rc::new(time)))
        .map_err(|e| Fault::new(e.to_string()))
}

fn duration(_: &Call<'_>, args: &[Value]) -> Result {
    let seconds = match args.any(0) {
        Value::Int64(n) => n,
        Value::Str(text) => text.text().parse().unwrap_or(0),
        _ => 0,
    };
    let nanos = seconds.wrapping_mul(1_000_000_000);
    Ok(Value::from(Duration::from_nanos(nanos).to_string()))
}

fn duration_round(call: &Call<'_>, args: &[Value]) -> Result {
    let span = match args.any(0) {
        Value::Str(text) => Duration::parse(&text.text()).unwrap_or_default(),
        Value::Int64(nanos) => Duration::from_nanos(nanos),
        Value::Time(time) => call.shared.now.since(&time),
        _ => Duration::default(),
    };
    let seconds = span.nanos().unsigned_abs();
    let units: [(u64, &str); 6] = [
        (31_536_000, "y"),
        (2_592_000, "mo"),
        (86_400, "d"),
        (3600, "h"),
        (60, "m"),
        (1, "s"),
    ];
    let text = units
        .iter()
        .map(|(unit, name)| (unit * 1_000_000_000, name))
        .find(|(unit, _)| seconds > *unit)
        .map_or_else(
            || "0s".to_owned(),
            |(unit, name)| format!("{}{name}", seconds / unit),
        );
    Ok(Value::from(text))
}

fn receiver(value: &Value) -> Rc<Time> {
    match value {
        Value::Time(time) => Rc::clone(time),
        _ => Rc::new(Time::zero()),
    }
}

fn int(n: impl Into<i64>) -> Result {
    Ok(Value::Int(n.into()))
}

fn time(time: Time) -> Result {
    Ok(Value::Time(Rc::new(time)))
}

/// A method of `time.Time` without parameters.
const fn plain(name: &'static str, call: fn(&Value, &[Value]) -> Result) -> Method {
    Method {
        name,
        params: &[],
        variadic: false,
        call,
    }
}

const fn with(
    name: &'static str,
    params: &'static [Type],
    call: fn(&Value, &[Value]) -> Result,
) -> Method {
    Method {
        name,
        params,
        variadic: false,
        call,
    }
}

pub(crate) const TIME_METHODS: &[Method] = &[
    plain("Unix", |r, _| Ok(Value::Int64(receiver(r).unix()))),
    plain("UnixNano", |r, _| {
        Ok(Value::Int64(receiver(r).unix_nanos()))
    }),
    plain("UnixMilli", |r, _| {
        Ok(Value::Int64(receiver(r).unix_nanos() / 1_000_000))
    }),
    plain("Nanosecond", |r, _| int(receiver(r).nanos())),
    plain("Year", |r, _| int(receiver(r).civil().year)),
    plain("Month", |r, _| {
        Ok(Value::from(receiver(r).format("January")))
    }),
    plain("Day", |r, _| int(receiver(r).civil().day)),
    plain("YearDay", |r, _| int(receiver(r).civil().year_day)),
    plain("Weekday", |r, _| {
        Ok(Value::from(receiver(r).format("Monday")))
    }),
    plain("Hour", |r, _| int(receiver(r).civil().hour)),
    plain("Minute", |r, _| int(receiver(r).civil().minute)),
    plain("Second", |r, _| int(receiver(r).civil().second)),
    plain("UTC", |r, _| time(receiver(r).in_zone(Zone::utc()))),
    plain("Local", |r, _| time(receiver(r).in_zone(Zone::utc()))),
    plain("IsZero", |r, _| Ok(Value::Bool(receiver(r).is_zero()))),
    plain("String", |r, _| Ok(Value::from(receiver(r).to_string()))),
    with("Format", &[STR], |r, a| {
        Ok(Value::from(receiver(r).format(&a.text(0))))
    }),
    with("AddDate", &[Type::Int, Type::Int, Type::Int], |r, a| {
        time(receiver(r).add_date(a.int(0), a.int(1), a.int(2)))
    }),
    with("Add", &[Type::Named("time.Duration")], |r, a| {
        match a.any(0) {
            Value::Duration(by) => time(receiver(r).add(by)),
            _ => time((*receiver(r)).clone()),
        }
    }),
    with("Sub", &[TIME], |r, a| {
        Ok(Value::Duration(receiver(r).since(&receiver(&a.any(0)))))
    }),
    with("After", &[TIME], |r, a| {
        Ok(Value::Bool(receiver(r) > receiver(&a.any(0))))
    }),
    with("Before", &[TIME], |r, a| {
        Ok(Value::Bool(receiver(r) < receiver(&a.any(0))))
    }),
    with("Equal", &[TIME], |r, a| {
        Ok(Value::Bool(receiver(r) == receiver(&a.any(0))))
    }),
];

fn span(value: &Value) -> Duration {
    match value {
        Value::Duration(d) => *d,
        _ => Duration::default(),
    }
}

pub(crate) const DURATION_METHODS: &[Method] = &[
    plain("Seconds", |r, _| {
        Ok(Value::Float(span(r).in_units(1_000_000_000)))
    }),
    plain("Minutes", |r, _| {
        Ok(Value::Float(span(r).in_units(60_000_000_000)))
    }),
    plain("Hours", |r, _| {
        Ok(Value::Float(span(r).in_units(3_600_000_000_000)))
    }),
    plain("Milliseconds", |r, _| {
        Ok(Value::Int64(span(r).nanos() / 1_000_000))
    }),
    plain("Nanoseconds", |r, _| Ok(Value::Int64(span(r).nanos()))),
    plain("String", |r, _| Ok(Value::from(span(r).to_string()))),
];
