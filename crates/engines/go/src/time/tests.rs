use super::*;

#[test]
fn layouts_print_every_token() {
    let time = Time::from_unix(1_700_000_000, 120_000_000);
    for (layout, expect) in [
        ("2006-01-02T15:04:05Z07:00", "2023-11-14T22:13:20Z"),
        (
            "Jan 2, 2006 at 3:04pm (MST)",
            "Nov 14, 2023 at 10:13pm (UTC)",
        ),
        (
            "Monday, 02-Jan-06 15:04:05.000",
            "Tuesday, 14-Nov-23 22:13:20.120",
        ),
        ("15:04:05.999 -0700", "22:13:20.12 +0000"),
        ("002 __2 _2 1 4 5", "318 318 14 11 13 20"),
        ("03:04 PM -07:00", "10:13 PM +00:00"),
        ("Janet", "Janet"),
        ("20060102150405", "20231114221320"),
    ] {
        assert_eq!(time.format(layout), expect, "{layout}");
    }
    assert_eq!(
        Time::from_unix(0, 0).to_string(),
        "1970-01-01 00:00:00 +0000 UTC"
    );
    assert_eq!(Time::zero().to_string(), "0001-01-01 00:00:00 +0000 UTC");
}

#[test]
fn named_zones_come_from_the_database() {
    let time = Time::from_unix(1_700_000_000, 0);
    let berlin = time.in_zone(Zone::named("Europe/Berlin").unwrap());
    assert_eq!(berlin.format("15:04 MST -0700"), "23:13 CET +0100");
    let york = time.in_zone(Zone::named("America/New_York").unwrap());
    assert_eq!(york.format(RFC3339), "2023-11-14T17:13:20-05:00");
    assert!(Zone::named("Nowhere/Land").is_none());
}

#[test]
fn texts_read_by_layout() {
    for (layout, text, unix) in [
        ("2006-01-02", "2020-02-29", 1_582_934_400),
        (RFC3339, "2023-11-14T23:13:20+01:00", 1_700_000_000),
        ("Jan 2 2006 3:04PM", "Nov 14 2023 10:13PM", 1_699_999_980),
        (
            "2006-01-02 15:04:05",
            "2023-11-14 22:13:20.5",
            1_700_000_000,
        ),
        ("2006-002", "2020-060", 1_582_934_400),
    ] {
        assert_eq!(
            Time::parse(layout, text, &Zone::utc()).unwrap().unix(),
            unix,
            "{text}"
        );
    }
    for (layout, text, message) in [
        (
            "2006-01-02",
            "bad",
            r#"parsing time "bad" as "2006-01-02": cannot parse "bad" as "2006""#,
        ),
        (
            "2006-01-02",
            "2020-13-01",
            r#"parsing time "2020-13-01": month out of range"#,
        ),
        (
            "2006-01-02",
            "2021-02-29",
            r#"parsing time "2021-02-29": day out of range"#,
        ),
        (
            "2006-01-02",
            "2020-01-01x",
            r#"parsing time "2020-01-01x": extra text: "x""#,
        ),
    ] {
        assert_eq!(
            Time::parse(layout, text, &Zone::utc())
                .unwrap_err()
                .to_string(),
            message
        );
    }
}

#[test]
fn durations_print_and_read() {
    for (text, nanos, printed) in [
        ("1h30m", 5_400_000_000_000, "1h30m0s"),
        ("1.5s", 1_500_000_000, "1.5s"),
        ("-2m", -120_000_000_000, "-2m0s"),
        ("100ms", 100_000_000, "100ms"),
        ("1us2ns", 1_002, "1.002µs"),
        ("0", 0, "0s"),
    ] {
        let duration = Duration::parse(text).unwrap();
        assert_eq!(
            (duration.nanos(), duration.to_string().as_str()),
            (nanos, printed)
        );
    }
    for (text, message) in [
        ("", r#"time: invalid duration """#),
        ("5", r#"time: missing unit in duration "5""#),
        ("5x", r#"time: unknown unit "x" in duration "5x""#),
        ("999999999h", r#"time: invalid duration "999999999h""#),
    ] {
        assert_eq!(Duration::parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn durations_round_away_from_zero() {
    let second = Duration::from_seconds(1);
    assert_eq!(
        Duration::from_nanos(1_500_000_000).round(second),
        Duration::from_seconds(2)
    );
    assert_eq!(
        Duration::from_nanos(-1_500_000_000).round(second),
        Duration::from_seconds(-2)
    );
    assert_eq!(Duration::from_nanos(1_900_000_000).truncate(second), second);
    assert!((Duration::from_seconds(90).in_units(60_000_000_000) - 1.5).abs() < 1e-12);
}

#[test]
fn calendars_carry_over() {
    let time = Time::parse("2006-01-02", "2020-01-31", &Zone::utc()).unwrap();
    assert_eq!(time.add_date(0, 1, 0).format("2006-01-02"), "2020-03-02");
    assert_eq!(time.add_date(-1, 0, 1).format("2006-01-02"), "2019-02-01");
    assert_eq!(
        time.add(Duration::from_seconds(86_400))
            .format("2006-01-02"),
        "2020-02-01"
    );
}
