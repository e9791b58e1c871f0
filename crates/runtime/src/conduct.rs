//! How the skeleton treats a kind, as data.

/// Whether a condition speaks of good or bad news when it is True.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// True is good (`ArtifactInStorage`).
    Positive,
    /// True is bad (`FetchFailed`); the condition is removed when it is not True.
    Negative,
    /// True is good, False is bad and beats everything else (`SourceVerified`).
    Bipolar,
}

/// Where a kind's Ready condition comes from.
#[derive(Clone, Copy, Debug)]
pub enum Summary {
    /// Reports and failures name Ready's reason and message themselves.
    Explicit,
    /// Ready is computed from these conditions, in this order of rank.
    ///
    /// Source: <https://github.com/fluxcd/pkg> `runtime/conditions` merge strategy, v1.9 line.
    Ranked(&'static [(&'static str, Polarity)]),
}

/// How a failed run is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Each failure doubles the delay between the `--min-retry-delay` and `--max-retry-delay` flags.
    Exponential,
    /// The kind's retry interval, always.
    Flat,
}

/// How the skeleton treats a kind.
#[derive(Clone, Copy, Debug)]
pub struct Conduct {
    /// Condition types that the kind owns besides Ready, Reconciling and Stalled.
    pub owned: &'static [&'static str],
    /// Where Ready comes from.
    pub summary: Summary,
    /// How failures are retried.
    pub retry: Retry,
    /// Whether a suspended object still has its conditions summarised and its generation observed.
    pub closes_suspended: bool,
    /// How a run announces itself.
    pub begin: Begin,
    /// Whether planning takes long, as rendering does: it then waits for a processor and runs on a thread of its own.
    pub plans_at_length: bool,
    /// Whether a mere request ends a wait. It does not where the next run would do more for it than was asked for: a
    /// release whose wait is cut short is upgraded by the next run. The request is answered all the same, afterwards.
    pub heeds_requests: bool,
}

/// How a run announces itself in Reconciling and Ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At once, where the generation or the request is new: `processing object: new generation
    /// 1 -> 2` or `reconciliation in progress`. Ready says the same where it is absent or Unknown.
    AtOnce,
    /// With its first note; Ready becomes Unknown with these words.
    WithFirstNote(&'static str),
}
