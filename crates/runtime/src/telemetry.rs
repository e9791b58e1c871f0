//! Logs: one JSON object a line with the keys that `flux logs` reads, or text for people.
//!
//! Source: <https://github.com/fluxcd/pkg> `runtime/logger`; field contract of `flux logs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{fmt, io};

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

use crate::args::{self, Encoding, Logging};

/// Libraries speak at warning level and above only: what they do is not what the controller does.
const LIBRARIES: &[&str] = &[
    "kube", "hyper", "h2", "tower", "reqwest", "rustls", "axum", "mio", "want",
];

/// The levels, each more talkative than the one before.
const LEVELS: [(args::Level, Level); 4] = [
    (args::Level::Error, Level::ERROR),
    (args::Level::Info, Level::INFO),
    (args::Level::Debug, Level::DEBUG),
    (args::Level::Trace, Level::TRACE),
];

/// How much is logged, which may change while the process runs. Clones are the same setting.
#[derive(Clone, Debug)]
pub struct Verbosity(Arc<AtomicU8>);

impl Verbosity {
    /// Starts with a level.
    #[must_use]
    pub fn new(level: args::Level) -> Self {
        let verbosity = Self(Arc::default());
        verbosity.store(level);
        verbosity
    }

    /// Logs up to this level from now on.
    pub fn set(&self, level: args::Level) {
        self.store(level);
        // What was found to be unwanted is not asked for again by itself.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Returns the level up to which is logged.
    #[must_use]
    pub fn get(&self) -> args::Level {
        self.entry().0
    }

    fn store(&self, level: args::Level) {
        let place = LEVELS.iter().position(|(known, _)| *known == level);
        let place = place.and_then(|place| u8::try_from(place).ok());
        self.0.store(place.unwrap_or_default(), Ordering::Relaxed);
    }

    fn entry(&self) -> (args::Level, Level) {
        let place = usize::from(self.0.load(Ordering::Relaxed));
        LEVELS[place.min(LEVELS.len() - 1)]
    }
}

/// Starts logging to standard error, as upstream does, and returns what changes how much is logged.
///
/// # Errors
/// Logging was started before.
pub fn start(logging: &Logging) -> Result<Verbosity, tracing::subscriber::SetGlobalDefaultError> {
    let verbosity = Verbosity::new(logging.log_level);
    let subscriber = subscriber(logging.log_encoding, verbosity.clone(), io::stderr);
    tracing::subscriber::set_global_default(subscriber)?;
    Ok(verbosity)
}

/// Returns what writes lines of up to a level to `out`.
fn subscriber<Out, Open>(encoding: Encoding, most: Verbosity, open: Open) -> impl Subscriber
where
    Out: io::Write + 'static,
    Open: Fn() -> Out + Send + Sync + 'static,
{
    let lines = Lines { encoding, open };
    let wanted = filter_fn(move |metadata| is_wanted(metadata, most.entry().1));
    Registry::default().with(lines.with_filter(wanted))
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
    // Their spans would put their fields into our lines.
    (metadata.is_span() && !is_library) || (metadata.is_event() && *metadata.level() <= most)
}

struct Lines<Open> {
    encoding: Encoding,
    open: Open,
}

impl<S, Out, Open> Layer<S> for Lines<Open>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    Out: io::Write + 'static,
    Open: Fn() -> Out + Send + Sync + 'static,
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
                    all.extend(fields.masked());
                }
            }
        }
        all.extend(own.masked());
        let line = match self.encoding {
            Encoding::Json => json_line(event.metadata(), all, Timestamp::now()),
            Encoding::Console => console_line(event.metadata(), all, Timestamp::now()),
        };
        // One write, so that lines of several threads stay whole. A log that cannot be written has
        // nowhere to complain.
        drop((self.open)().write_all(line.as_bytes()));
    }
}

fn json_line(metadata: &Metadata<'_>, mut fields: Map<String, Value>, now: Timestamp) -> String {
    let message = fields.remove("message").unwrap_or_default();
    let mut line = Map::new();
    let logger = logger(metadata, &fields);
    fields.entry("logger").or_insert_with(|| logger.into());
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
    // Last: no field of a line may pass for one of these.
    line.insert("level".into(), level(metadata).into());
    line.insert("ts".into(), millis(now).into());
    line.insert("msg".into(), message);
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

/// Names who speaks: `controller.<kind>` within a run, else the module.
fn logger(metadata: &Metadata<'_>, fields: &Map<String, Value>) -> String {
    match fields.get("controller").and_then(Value::as_str) {
        Some(controller) => format!("controller.{controller}"),
        None => metadata.target().replace("::", "."),
    }
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

/// The fields of a span or an event, as they were recorded. Most spans are never seen in a line.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), value.into()));
    }

    /// Returns what a line may show.
    fn masked(&self) -> impl Iterator<Item = (String, Value)> {
        self.0.iter().map(|(name, value)| {
            let value = match value {
                Value::String(text) => crate::redact::redact(text).into(),
                other => other.clone(),
            };
            ((*name).to_owned(), value)
        })
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
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(most: Level, speak: impl FnOnce()) -> Vec<Map<String, Value>> {
        let (level, _) = LEVELS
            .into_iter()
            .find(|(_, level)| *level == most)
            .unwrap();
        lines_of(Verbosity::new(level), speak)
    }

    fn lines_of(most: Verbosity, speak: impl FnOnce()) -> Vec<Map<String, Value>> {
        let captured = Captured::default();
        let out = captured.clone();
        let subscriber = subscriber(Encoding::Json, most, move || out.clone());
        tracing::subscriber::with_default(subscriber, speak);
        let bytes = captured.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let parse = |line| serde_json::from_str(line).unwrap();
        text.lines().map(parse).collect()
    }

    fn reconcile_span() -> tracing::Span {
        tracing::info_span!(
            "reconcile",
            controller = "kustomization",
            controllerGroup = "kustomize.toolkit.fluxcd.io",
            controllerKind = "Kustomization",
            namespace = "flux-system",
            name = "apps",
            reconcileID = "7f2c",
        )
    }

    #[test]
    fn line_of_a_run_has_the_keys_that_flux_logs_reads() {
        let got = lines(Level::INFO, || {
            reconcile_span().in_scope(|| tracing::error!(error = "no such path", "failed"));
        });
        let mut line = got[0].clone();
        let ts = line.remove("ts").unwrap();
        assert!(ts.as_str().unwrap().parse::<Timestamp>().is_ok());
        let expect = serde_json::json!({
            "level": "error", "msg": "failed", "error": "no such path",
            "logger": "controller.kustomization", "controller": "kustomization",
            "controllerGroup": "kustomize.toolkit.fluxcd.io", "controllerKind": "Kustomization",
            "Kustomization": { "name": "apps", "namespace": "flux-system" },
            "name": "apps", "namespace": "flux-system", "reconcileID": "7f2c" });
        assert_eq!(Value::Object(line), expect);
    }

    #[test]
    fn line_outside_of_a_run_names_its_module_or_what_it_says() {
        let got = lines(Level::INFO, || {
            tracing::info!("one");
            tracing::info!(logger = "setup", "two");
        });
        assert_eq!(got[0]["logger"], "runtime.telemetry.tests");
        assert_eq!(got[1]["logger"], "setup");
    }

    #[test]
    fn no_field_passes_for_level_or_message() {
        let got = lines(Level::INFO, || tracing::info!(level = "x", msg = "y", "z"));
        assert_eq!(
            (&got[0]["level"], &got[0]["msg"]),
            (&"info".into(), &"z".into())
        );
    }

    #[test]
    fn credentials_never_reach_a_line() {
        let secret = "hunter2hunter2hunter2";
        let got = lines(Level::INFO, || {
            let url = format!("https://bob:{secret}@example.org/a.git");
            let error = anyhow::anyhow!("header Authorization: Bearer {secret}");
            reconcile_span().in_scope(|| tracing::error!(%error, url, "cannot clone {url}"));
        });
        assert!(!Value::Object(got[0].clone()).to_string().contains(secret));
    }

    #[test]
    fn spans_of_libraries_add_nothing() {
        let got = lines(Level::INFO, || {
            tracing::info_span!(target: "kube_runtime::controller", "reconciling", object = "x")
                .in_scope(|| tracing::info!("one"));
            tracing::info!(target: "kube_client::client", "two");
            tracing::warn!(target: "kube_client::client", "three");
        });
        let said: Vec<_> = got.iter().map(|line| line["msg"].clone()).collect();
        assert_eq!(said, ["one", "three"]);
        assert!(!got[0].contains_key("object"));
    }

    #[test]
    fn debug_lines_come_only_when_asked_for() {
        let speak = || tracing::debug!("one");
        assert!(lines(Level::INFO, speak).is_empty());
        assert_eq!(lines(Level::DEBUG, speak).len(), 1);
    }

    #[test]
    fn time_has_three_decimals() {
        let at = Timestamp::new(1_800_000_000, 5_000_000).unwrap();
        assert_eq!(millis(at), "2027-01-15T08:00:00.005Z");
        assert_eq!(
            millis(Timestamp::from_second(0).unwrap()),
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn level_changes_while_the_process_runs() {
        let verbosity = Verbosity::new(args::Level::Info);
        let speak = || tracing::debug!("decided");
        let got = lines_of(verbosity.clone(), || {
            speak();
            verbosity.set(args::Level::Debug);
            speak();
            verbosity.set(args::Level::Error);
            speak();
            tracing::error!("failed");
        });
        let messages: Vec<_> = got.iter().map(|line| line["msg"].clone()).collect();
        assert_eq!(messages, ["decided", "failed"]);
        assert_eq!(verbosity.get(), args::Level::Error);
    }
}
