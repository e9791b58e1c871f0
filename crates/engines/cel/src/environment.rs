//! The functions that expressions may call.

use std::sync::{Arc, LazyLock};

use cel::{
    DeclarationError, Env, ExecutionError,
    common::{
        traits::Iterable,
        types::{self, CelBool, CelOptional, CelString},
        value::{CowVal, Val},
    },
    extensions,
};

/// The largest compiled regular expression, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 18;

/// The one environment: it never changes, and is costly to make.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "a test builds it: no name is declared twice"
    )]
    let env = build().expect("no name is declared twice");
    Arc::new(env)
});

/// Returns the environment.
pub(crate) fn environment() -> Arc<Env> {
    Arc::clone(&ENVIRONMENT)
}

fn build() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib().with_optional_support(true);
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::encoders)?;
    let lists = || vec![types::LIST_TYPE, types::LIST_TYPE];
    env.add_overload(
        "sets.contains",
        "list_sets_contains_list",
        lists(),
        |args| {
            let (all, some) = pair(&args)?;
            Ok(bool(holds_all(all, some)))
        },
    )?;
    env.add_overload(
        "sets.equivalent",
        "list_sets_equivalent_list",
        lists(),
        |args| {
            let (a, b) = pair(&args)?;
            Ok(bool(holds_all(a, b) && holds_all(b, a)))
        },
    )?;
    env.add_overload(
        "sets.intersects",
        "list_sets_intersects_list",
        lists(),
        |args| {
            let (a, b) = pair(&args)?;
            Ok(bool(any(a, &mut |value| holds(b, value))))
        },
    )?;
    // Of the optional types' library, from its second version on.
    let list = types::LIST_TYPE;
    env.add_member_overload("first", "list_first", list, vec![], |args| {
        end(&args, false)
    })?;
    let list = types::LIST_TYPE;
    env.add_member_overload("last", "list_last", list, vec![], |args| end(&args, true))?;
    let strings = || vec![types::STRING_TYPE, types::STRING_TYPE];
    env.add_overload("matches", "matches", strings(), |args| matches(&args))?;
    env.add_member_overload(
        "matches",
        "matches_string",
        types::STRING_TYPE,
        vec![types::STRING_TYPE],
        |args| matches(&args),
    )?;
    Ok(env)
}

fn bool<'b, 'v>(value: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(value))
}

/// Returns the first or the last element of a list, as an optional.
fn end<'b, 'v>(args: &[CowVal<'_, 'v>], last: bool) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let list = args
        .first()
        .and_then(|value| value.as_iterable())
        .ok_or_else(ExecutionError::missing_argument_or_target)?;
    let mut found = None;
    let mut elements = list.iter();
    while let Some(element) = elements.next() {
        found = Some(element.clone_as_boxed());
        if !last {
            break;
        }
    }
    Ok(CowVal::owned(
        found.map_or_else(CelOptional::none, CelOptional::of),
    ))
}

fn pair<'a>(
    args: &'a [CowVal<'_, '_>],
) -> Result<(&'a dyn Iterable, &'a dyn Iterable), ExecutionError> {
    let list = |index: usize| {
        args.get(index)
            .and_then(|value| value.as_iterable())
            .ok_or_else(ExecutionError::missing_argument_or_target)
    };
    Ok((list(0)?, list(1)?))
}

/// Whether any element passes.
fn any(list: &dyn Iterable, test: &mut dyn FnMut(&dyn Val) -> bool) -> bool {
    let mut elements = list.iter();
    while let Some(element) = elements.next() {
        if test(element) {
            return true;
        }
    }
    false
}

fn holds(list: &dyn Iterable, value: &dyn Val) -> bool {
    any(list, &mut |element| element.equals(value))
}

fn holds_all(list: &dyn Iterable, values: &dyn Iterable) -> bool {
    !any(values, &mut |value| !holds(list, value))
}

/// Searches with a bounded regular expression, linear in the text.
fn matches<'b, 'v>(args: &[CowVal<'_, '_>]) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = |index: usize| {
        args.get(index)
            .and_then(|value| value.downcast_ref::<CelString>())
            .ok_or_else(ExecutionError::missing_argument_or_target)
    };
    let (subject, pattern) = (text(0)?, text(1)?);
    let regex =
        regex(pattern.inner()).map_err(|error| ExecutionError::function_error("matches", error))?;
    Ok(bool(regex.is_match(subject.inner())))
}

/// Compiles a regular expression within its bounds.
pub(crate) fn regex(pattern: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_BYTES)
        .dfa_size_limit(MAX_REGEX_BYTES)
        .nest_limit(64)
        .build()
}
