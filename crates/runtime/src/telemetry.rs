//! Logs: one JSON object a line with the keys that `flux logs` reads, or text for people.
//!
//! Source: <https://github.com/fluxcd/pkg> `runtime/logger`; field contract of `flux logs`.

use std::{fmt, io::Write as _};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer, Registry, filter::filter_fn, layer::Context, layer::SubscriberExt, registry::LookupSpan,
};

use crate::args::{Encoding, Logging};

/// Libraries speak at warning level and above only: what they do is not what the controller does.
const LIBRARIES: &[&str] = &[
    "kube", "hyper", "h2", "tower", "reqwest", "rustls", "axum", "mio", "want",
];

/// Starts logging to standard error, as upstream does.
///
/// # Errors
/// Logging was started before.
pub fn start(logging: &Logging) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    let most = match logging.log_level {
        crate::args::Level::Trace => Level::TRACE,
        crate::args::Level::Debug => Level::DEBUG,
        crate::args::Level::Info => Level::INFO,
        crate::args::Level::Error => Level::ERROR,
    };
    let lines = Lines {
        encoding: logging.log_encoding,
    };
    let layer = lines.with_filter(filter_fn(move |metadata| is_wanted(metadata, most)));
    tracing::subscriber::set_global_default(Registry::default().with(layer))
}

fn is_wanted(metadata: &Metadata<'_>, most: Level) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    let is_library = LIBRARIES
        .iter()
        .any(|l| library == *l || library.starts_with(&format!("{l}_")));
    let most = if is_library && most != Level::TRACE {
        most.min(Level::WARN)
    } else {
        most
    };
    metadata.is_span() || *metadata.level() <= most
}

struct Lines {
    encoding: Encoding,
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut all = Map::new();
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                if let Some(fields) = span.extensions().get::<Fields>() {
                    all.extend(fields.0.clone());
                }
            }
        }
        all.extend(own.0);
        let line = match self.encoding {
            Encoding::Json => json_line(event.metadata(), all, Timestamp::now()),
            Encoding::Console => console_line(event.metadata(), all, Timestamp::now()),
        };
        // A log that cannot be written has nowhere to complain.
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
    }
}

fn json_line(metadata: &Metadata<'_>, mut fields: Map<String, Value>, now: Timestamp) -> String {
    let mut line = Map::new();
    line.insert("level".into(), level(metadata).into());
    line.insert("ts".into(), millis(now).into());
    line.insert("msg".into(), fields.remove("message").unwrap_or_default());
    let kind = fields
        .get("controllerKind")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let (Some(kind), Some(name)) = (kind, fields.get("name").cloned()) {
        let namespace = fields.get("namespace").cloned().unwrap_or_default();
        line.insert(
            kind,
            serde_json::json!({ "name": name, "namespace": namespace }),
        );
    }
    line.extend(fields);
    format!("{}\n", Value::Object(line))
}

fn console_line(metadata: &Metadata<'_>, mut fields: Map<String, Value>, now: Timestamp) -> String {
    let message = fields.remove("message").unwrap_or_default();
    let message = message.as_str().unwrap_or_default();
    let rest = Value::Object(fields);
    format!(
        "{}\t{}\t{message}\t{rest}\n",
        millis(now),
        level(metadata).to_uppercase()
    )
}

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        // Upstream's loggers know no warning: `flux logs --level` has debug, info and error.
        Level::WARN | Level::ERROR => "error",
    }
}

fn millis(now: Timestamp) -> String {
    let whole = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    format!("{whole:.3}")
}

#[derive(Clone, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_three_decimals() {
        let at = Timestamp::new(1_800_000_000, 5_000_000).unwrap();
        assert_eq!(millis(at), "2027-01-15T08:00:00.005Z");
        assert_eq!(
            millis(Timestamp::from_second(0).unwrap()),
            "1970-01-01T00:00:00.000Z"
        );
    }
}
