//! What services take at most: events that are longer are cut to fit, as they would be refused whole.
//!
//! Sources, as published in 2026: <https://docs.slack.dev/reference/methods/chat.postMessage> (40,000 characters),
//! <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>,
//! <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using> (28 KB),
//! <https://core.telegram.org/bots/api#sendmessage> (4,096 characters), <https://developer.webex.com/messaging/docs/api>
//! (7,439 bytes), <https://developers.google.com/workspace/chat/create-messages> (32,000 bytes),
//! <https://zulip.com/api/send-message> (10,000 characters), <https://open.larksuite.com/document/client-docs/bot-v3>
//! (20 KB), <https://docs.opsgenie.com/docs/alert-api> (15,000 characters), <https://docs.datadoghq.com/api/latest/events>
//! (4,000 characters), <https://spec.matrix.org/latest/client-server-api/#size-limits> (65,536 bytes), and for comments
//! GitHub's 65,536 characters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use api::notification::ProviderKind;
use futures::future::BoxFuture;

use super::{Boxed, Notice, Notifier, SendError};
use crate::event::Event;

/// How a text is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// In characters, one outside of Unicode's first plane as two.
    Characters,
    /// In bytes, as JSON.
    Bytes,
}

/// The most that a service takes of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    unit: Unit,
    message: usize,
    /// How many facts, and how long their names and values may be.
    facts: usize,
    name: usize,
    value: usize,
    /// Of all texts together.
    all: usize,
}

impl Bounds {
    const fn new(unit: Unit, message: usize, facts: (usize, usize, usize), all: usize) -> Self {
        Self {
            unit,
            message,
            facts: facts.0,
            name: facts.1,
            value: facts.2,
            all,
        }
    }

    /// Returns the bounds of a type; none where it takes whatever comes.
    pub(super) fn of(kind: ProviderKind) -> Option<Self> {
        use ProviderKind as Kind;
        let (characters, bytes) = (Unit::Characters, Unit::Bytes);
        Some(match kind {
            Kind::Slack | Kind::Rocket => Self::new(characters, 30_000, (50, 256, 2000), 38_000),
            Kind::Discord => Self::new(characters, 4096, (25, 256, 1024), 5600),
            Kind::MsTeams => Self::new(bytes, 20_000, (50, 256, 2000), 24_000),
            // Half of them, as every character may have to be escaped.
            Kind::Telegram => Self::new(characters, 1600, (20, 100, 200), 1900),
            Kind::Webex => Self::new(bytes, 6000, (20, 200, 1000), 7000),
            Kind::GoogleChat => Self::new(bytes, 20_000, (50, 256, 2000), 28_000),
            Kind::Zulip => Self::new(characters, 8000, (50, 256, 1000), 9400),
            Kind::Lark => Self::new(bytes, 14_000, (50, 256, 1000), 18_000),
            Kind::Opsgenie => Self::new(characters, 14_900, (50, 256, 1000), 22_000),
            Kind::Datadog => Self::new(characters, 3900, (50, 100, 150), 12_000),
            Kind::Matrix => Self::new(bytes, 40_000, (100, 256, 2000), 60_000),
            Kind::GithubPullRequestComment | Kind::GiteaPullRequestComment => {
                Self::new(characters, 50_000, (100, 256, 2000), 64_000)
            }
            _ => return None,
        })
    }
}

/// Cuts what is too long for a service before it is sent.
struct Fitted {
    bounds: Bounds,
    inner: Boxed,
}

/// Has a notifier sent no more than its service takes.
pub(super) fn fitted(kind: ProviderKind, inner: Boxed) -> Boxed {
    match Bounds::of(kind) {
        Some(bounds) => Box::new(Fitted { bounds, inner }),
        None => inner,
    }
}

impl Notifier for Fitted {
    fn send<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), SendError>> {
        match fit(&notice.event, self.bounds) {
            None => self.inner.send(notice),
            Some(event) => Box::pin(async move {
                let shorter = Notice {
                    event,
                    ..notice.clone()
                };
                self.inner.send(&shorter).await
            }),
        }
    }
}

/// Returns a shorter event; none where it fits as it is.
fn fit(event: &Event, bounds: Bounds) -> Option<Event> {
    let size = |text: &str| text.chars().map(|c| cost(c, bounds.unit)).sum::<usize>();
    let facts = &event.metadata;
    let sizes = facts.iter().map(|(name, value)| (size(name), size(value)));
    let sizes: Vec<_> = sizes.collect();
    let message = size(&event.message);
    let all = message + sizes.iter().map(|(a, b)| a + b).sum::<usize>();
    let one_fits = |(name, value): &(usize, usize)| *name <= bounds.name && *value <= bounds.value;
    if message <= bounds.message
        && facts.len() <= bounds.facts
        && all <= bounds.all
        && sizes.iter().all(one_fits)
    {
        return None;
    }
    // The message matters most: facts get what it leaves, and at least a third.
    let room = bounds.all.saturating_sub(message.min(bounds.message));
    let mut left = room.max(bounds.all / 3);
    let mut kept = BTreeMap::new();
    let summary = facts.get_key_value("summary");
    let others = facts.iter().filter(|(name, _)| *name != "summary");
    for (name, value) in summary.into_iter().chain(others).take(bounds.facts) {
        let name = cut(name, bounds.name, bounds.unit);
        let value = cut(value, bounds.value, bounds.unit);
        let both = size(&name) + size(&value);
        if both <= left {
            left -= both;
            kept.insert(name.into_owned(), value.into_owned());
        }
    }
    let used: usize = kept.iter().map(|(a, b)| size(a) + size(b)).sum();
    let most = bounds.message.min(bounds.all.saturating_sub(used));
    Some(Event {
        message: cut(&event.message, most, bounds.unit).into_owned(),
        metadata: kept,
        ..event.clone()
    })
}

/// Cuts a text to a number of characters.
pub(super) fn characters(text: &str, most: usize) -> Cow<'_, str> {
    cut(text, most, Unit::Characters)
}

/// Cuts a text, and says so with its last character.
fn cut(text: &str, most: usize, unit: Unit) -> Cow<'_, str> {
    const MARK: char = '…';
    let (mut used, mut end) = (0, 0);
    for (at, c) in text.char_indices() {
        if used + cost(MARK, unit) <= most {
            end = at;
        }
        used += cost(c, unit);
        if used > most {
            return Cow::Owned(format!("{}{MARK}", &text[..end]));
        }
    }
    Cow::Borrowed(text)
}

/// How much a character counts.
fn cost(c: char, unit: Unit) -> usize {
    match unit {
        Unit::Characters => c.len_utf16(),
        Unit::Bytes => match c {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => 6,
            c => c.len_utf8(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tests::{notice, sent_with};
    use super::*;

    const KINDS: [ProviderKind; 3] = [
        ProviderKind::Slack,
        ProviderKind::MsTeams,
        ProviderKind::Discord,
    ];

    /// Events that are long in several ways.
    fn long() -> Vec<Notice> {
        let text = |part: &str, size: usize| part.repeat(size / part.chars().count() + 1);
        let mut all = Vec::new();
        for part in ["a", "<&>", "🎉é\n", "\"\\\u{1}", "word "] {
            for (message, facts, value) in [(39_000, 0, 0), (10, 60, 3000), (39_000, 60, 3000)] {
                let mut notice = notice("error");
                let event = &mut notice.event;
                event.message = text(part, message);
                event.involved_object.name = text("n", 252);
                event.involved_object.namespace = text("s", 62);
                event.reporting_controller = text("controller", 200);
                event.metadata = (0..facts)
                    .map(|at| (text(&format!("key{at}"), 300), text(part, value)))
                    .collect();
                if facts > 0 {
                    let summary = "what this is about".to_owned();
                    event.metadata.insert("summary".to_owned(), summary);
                }
                all.push(notice);
            }
        }
        all
    }

    fn chars(value: &Value) -> usize {
        value.as_str().map_or(0, |text| text.encode_utf16().count())
    }

    fn check_slack(body: &Value) {
        let attachment = &body["attachments"][0];
        assert_eq!(body["attachments"].as_array().unwrap().len(), 1);
        assert!(chars(&body["username"]) <= 80);
        let fields = attachment["fields"].as_array().unwrap();
        let facts: usize = fields
            .iter()
            .map(|f| chars(&f["title"]) + chars(&f["value"]))
            .sum();
        let texts = ["text", "fallback", "author_name"].map(|key| chars(&attachment[key]));
        assert!(facts + texts.iter().sum::<usize>() <= 40_000);
    }

    /// The endpoint for Slack's messages makes one embed of an attachment.
    fn check_discord(body: &Value) {
        let embed = &body["attachments"][0];
        assert!((1..=80).contains(&chars(&body["username"])));
        let author = chars(&embed["author_name"]);
        assert!(author <= 256, "author {author}");
        let description = chars(&embed["text"]);
        assert!(description <= 4096, "description {description}");
        let fields = embed["fields"].as_array().unwrap();
        assert!(fields.len() <= 25);
        let mut all = author + description + chars(&embed["fallback"]);
        for field in fields {
            let (name, value) = (chars(&field["title"]), chars(&field["value"]));
            assert!((1..=256).contains(&name) && (1..=1024).contains(&value));
            all += name + value;
        }
        assert!(all <= 6000, "{all} in all");
    }

    fn check_teams(bytes: usize, body: &Value) {
        assert!(bytes <= 28 << 10, "{bytes} bytes");
        let card = &body["attachments"][0]["content"];
        assert_eq!(card["type"], "AdaptiveCard");
        let items = card["body"][0]["items"].as_array().unwrap();
        let types: Vec<_> = items.iter().map(|i| i["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["TextBlock", "TextBlock", "FactSet"]);
    }

    #[tokio::test]
    async fn long_events_are_cut_to_what_slack_teams_and_discord_take() {
        for kind in KINDS {
            for long in long() {
                let requests = sent_with(|_| {}, kind, &long).await;
                assert_eq!(requests.len(), 1);
                let body: Value = requests[0].json().unwrap();
                match kind {
                    ProviderKind::Slack => check_slack(&body),
                    ProviderKind::Discord => check_discord(&body),
                    _ => check_teams(requests[0].body.len(), &body),
                }
                let text = String::from_utf8_lossy(&requests[0].body).into_owned();
                assert!(text.contains('…'), "{kind:?}: nothing says that it was cut");
                if !long.event.metadata.is_empty() {
                    assert!(text.contains("what this is about"), "{kind:?}");
                }
            }
        }
    }

    #[test]
    fn what_fits_is_left_as_it_is_and_what_is_cut_fits() {
        let short = notice("info").event;
        for kind in KINDS {
            let bounds = Bounds::of(kind).unwrap();
            assert_eq!(fit(&short, bounds), None);
            for long in long() {
                let fits = fit(&long.event, bounds).unwrap();
                assert_eq!(fit(&fits, bounds), None, "{kind:?}");
                assert!(fits.message.len() > 9, "the message stays");
            }
        }
        assert_eq!(characters("abc", 3), "abc");
        assert_eq!(characters("abcd", 3), "ab…");
        assert_eq!(characters("🎉🎉", 3), "🎉…");
        assert_eq!(cut("<<<", 12, Unit::Bytes), "<…");
        assert_eq!(cut("", 0, Unit::Bytes), "");
    }
}
