//! One expression: compiled once, evaluated often.

use cel::{
    Context, Program, Value as CelValue,
    common::ast::{CallExpr, Expr, IdedExpr, LiteralValue},
};
use serde_json::Value;

use crate::{bound, environment, names, stack};

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 10_000;
/// The most operators, brackets, dots and commas of an expression, quoted text apart. Parser and
/// evaluator call themselves once for each in the worst case.
const MAX_MARKS: usize = 1_000;
/// The most steps of one evaluation: about a second.
const MAX_STEPS: f64 = 5_000_000.0;
/// The heaviest value that an evaluation may make, in characters and nodes.
const MAX_WEIGHT: f64 = 16_000_000.0;

/// A text that is no expression, or one that may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// Longer or with more operators than allowed.
    #[error(
        "failed to parse the CEL expression: it is larger than {MAX_LENGTH} bytes or {MAX_MARKS} operators"
    )]
    TooLarge,
    /// Not CEL, or with names that nothing declares.
    #[error("failed to parse the CEL expression '{expression}': {detail}")]
    Syntax {
        /// The text.
        expression: String,
        /// What is wrong, with line and column.
        detail: String,
    },
    /// It can never be a truth value.
    #[error("CEL expression output type mismatch: expected bool, got {0}")]
    NotBool(&'static str),
    /// It can never be text.
    #[error("CEL expression output type mismatch: expected string, got {0}")]
    NotString(&'static str),
}

/// An evaluation that came to no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// A field is missing, types do not fit, and so on.
    #[error("failed to evaluate the CEL expression '{expression}': {detail}")]
    Failed {
        /// The text.
        expression: String,
        /// What went wrong.
        detail: String,
    },
    /// The result is of another type.
    #[error("failed to evaluate CEL expression as {wanted}: '{expression}'")]
    WrongType {
        /// The text.
        expression: String,
        /// The type that was wanted.
        wanted: &'static str,
    },
    /// On these values it could take too long, or too much memory.
    #[error("failed to evaluate the CEL expression '{0}': it is too costly for the given values")]
    TooCostly(String),
}

/// What an expression has to make.
#[derive(Clone, Copy, Debug)]
enum Output {
    Bool,
    Text,
    Any,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    source: String,
    marks: usize,
    program: Program,
}

impl Expression {
    /// Compiles an expression whose variables are not known: only its syntax is checked.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn parse(source: &str) -> Result<Self, CompileError> {
        Self::compile(source, None)
    }

    /// Compiles a condition over the variables named. Unlike [`Self::parse`] it refuses names that
    /// nothing declares, and results that can be no truth value.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn condition(source: &str, variables: &[&str]) -> Result<Self, CompileError> {
        Self::compile(source, Some((variables, Output::Bool)))
    }

    /// Compiles an expression over the variables named that makes text. Unlike [`Self::parse`] it
    /// refuses names that nothing declares, and results that can be no text.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn text(source: &str, variables: &[&str]) -> Result<Self, CompileError> {
        Self::compile(source, Some((variables, Output::Text)))
    }

    /// Compiles an expression over the variables named that makes anything. Unlike [`Self::parse`]
    /// it refuses names that nothing declares.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn value(source: &str, variables: &[&str]) -> Result<Self, CompileError> {
        Self::compile(source, Some((variables, Output::Any)))
    }

    fn compile(source: &str, checks: Option<(&[&str], Output)>) -> Result<Self, CompileError> {
        let marks = count_marks(source);
        if source.len() > MAX_LENGTH || marks > MAX_MARKS {
            return Err(CompileError::TooLarge);
        }
        let work = || {
            let program = environment::environment()
                .compile(source)
                .map_err(|error| syntax(source, error.to_string()))?;
            check_patterns(program.expression()).map_err(|detail| syntax(source, detail))?;
            let source = source.to_owned();
            let expression = Self {
                source,
                marks,
                program,
            };
            match checks {
                Some((variables, output)) => expression.checked(variables, output),
                None => Ok(expression),
            }
        };
        stack::with_room(marks, work).unwrap_or(Err(CompileError::TooLarge))
    }

    fn checked(self, variables: &[&str], output: Output) -> Result<Self, CompileError> {
        let root = self.program.expression();
        if let Some(found) = names::undeclared(root, variables) {
            let what = format!("undeclared reference to '{}' (in container '')", found.name);
            return Err(syntax(&self.source, self.point_at(found.node, &what)));
        }
        match (static_type(root), output) {
            (None, _)
            | (_, Output::Any)
            | (Some("bool"), Output::Bool)
            | (Some("string"), Output::Text) => Ok(self),
            (Some(other), Output::Bool) => Err(CompileError::NotBool(other)),
            (Some(other), Output::Text) => Err(CompileError::NotString(other)),
        }
    }

    /// Returns the text that it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Evaluates to a truth value.
    ///
    /// # Errors
    /// [`EvaluateError`].
    pub fn evaluate_bool(&self, variables: &[(&str, &Value)]) -> Result<bool, EvaluateError> {
        match self.run(variables)? {
            CelValue::Bool(value) => Ok(value),
            _ => Err(self.wrong_type("boolean")),
        }
    }

    /// Evaluates to text.
    ///
    /// # Errors
    /// [`EvaluateError`].
    pub fn evaluate_string(&self, variables: &[(&str, &Value)]) -> Result<String, EvaluateError> {
        match self.run(variables)? {
            CelValue::String(value) => Ok(value.to_string()),
            _ => Err(self.wrong_type("string")),
        }
    }

    /// Evaluates to anything that JSON can hold.
    ///
    /// # Errors
    /// [`EvaluateError`].
    pub fn evaluate_value(&self, variables: &[(&str, &Value)]) -> Result<Value, EvaluateError> {
        let value = self.run(variables)?;
        value.json().map_err(|_| self.wrong_type("JSON"))
    }

    fn run(&self, variables: &[(&str, &Value)]) -> Result<CelValue, EvaluateError> {
        stack::with_room(self.marks, || self.run_here(variables))
            .unwrap_or_else(|| Err(EvaluateError::TooCostly(self.source.clone())))
    }

    fn run_here(&self, variables: &[(&str, &Value)]) -> Result<CelValue, EvaluateError> {
        let bounds = bound::bounds(self.program.expression(), variables);
        if bounds.steps > MAX_STEPS || bounds.weight > MAX_WEIGHT {
            return Err(EvaluateError::TooCostly(self.source.clone()));
        }
        let mut context = Context::with_env(environment::environment());
        let references = self.program.references();
        for (name, value) in variables
            .iter()
            .filter(|(name, _)| references.has_variable(name))
        {
            context
                .add_variable(*name, value)
                .map_err(|error| self.failed(error.to_string()))?;
        }
        self.program
            .execute(&context)
            .map_err(|error| self.failed(words(&error)))
    }

    fn failed(&self, detail: String) -> EvaluateError {
        EvaluateError::Failed {
            expression: self.source.clone(),
            detail,
        }
    }

    fn wrong_type(&self, wanted: &'static str) -> EvaluateError {
        EvaluateError::WrongType {
            expression: self.source.clone(),
            wanted,
        }
    }

    /// Words a complaint about a node as cel-go does: position, line, marker.
    fn point_at(&self, node: u64, what: &str) -> String {
        let offset = self.program.source_info().offset_for(node);
        let offset = usize::try_from(offset.map_or(0, |(start, _)| start)).unwrap_or_default();
        let before = self.source.get(..offset).unwrap_or_default();
        let line_number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = self
            .source
            .get(start..offset)
            .map_or(0, |t| t.chars().count());
        let line = self.source.lines().nth(line_number - 1).unwrap_or_default();
        let marker = ".".repeat(column);
        format!(
            "ERROR: <input>:{line_number}:{}: {what}\n | {line}\n | {marker}^",
            column + 1
        )
    }
}

fn syntax(source: &str, detail: String) -> CompileError {
    CompileError::Syntax {
        expression: source.to_owned(),
        detail,
    }
}

/// Says what went wrong in cel-go's words where users know them.
fn words(error: &cel::ExecutionError) -> String {
    match error {
        cel::ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        cel::ExecutionError::UndeclaredReference(name) => {
            format!("no such attribute(s): {name}")
        }
        cel::ExecutionError::NoSuchOverload(_) => "no such overload".to_owned(),
        other => {
            // Some messages print whole values, which may be secret or long.
            let text = other.to_string();
            text.chars().take(256).collect()
        }
    }
}

/// Counts what can make an expression deep, outside quotes.
fn count_marks(source: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    let mut marks = 0;
    for c in source.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None => marks += usize::from("([{.?:,+-*/%<>=!&|".contains(c)),
        }
    }
    marks
}

/// Compiles the regular expressions that are written out, so that errors come early.
fn check_patterns(node: &IdedExpr) -> Result<(), String> {
    let all = |nodes: &[IdedExpr]| nodes.iter().try_for_each(check_patterns);
    match &node.expr {
        Expr::Call(call) => {
            if let Some(pattern) = pattern(call) {
                environment::regex(pattern)
                    .map_err(|error| format!("'{pattern}' not a valid regex: {error}"))?;
            }
            call.target.as_deref().map_or(Ok(()), check_patterns)?;
            all(&call.args)
        }
        Expr::Select(select) => check_patterns(&select.operand),
        Expr::List(list) => all(&list.elements),
        Expr::Comprehension(fold) => {
            let parts = [
                &fold.iter_range,
                &fold.loop_cond,
                &fold.loop_step,
                &fold.result,
            ];
            parts.into_iter().try_for_each(check_patterns)
        }
        _ => Ok(()),
    }
}

fn pattern(call: &CallExpr) -> Option<&str> {
    let last = call.args.last().filter(|_| call.func_name == "matches")?;
    match &last.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// Returns the type of an expression where its outermost part alone tells.
fn static_type(root: &IdedExpr) -> Option<&'static str> {
    match &root.expr {
        Expr::Literal(literal) => Some(match literal {
            LiteralValue::Boolean(_) => "bool",
            LiteralValue::Bytes(_) => "bytes",
            LiteralValue::Double(_) => "double",
            LiteralValue::Int(_) => "int",
            LiteralValue::Null => "null_type",
            LiteralValue::String(_) => "string",
            LiteralValue::UInt(_) => "uint",
        }),
        Expr::List(_) => Some("list"),
        Expr::Map(_) => Some("map"),
        Expr::Select(select) if select.test => Some("bool"),
        Expr::Call(call) => match call.func_name.as_str() {
            "_&&_" | "_||_" | "!_" | "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" | "@in"
            | "contains" | "startsWith" | "endsWith" | "matches" | "hasValue" => Some("bool"),
            "size" | "int" | "indexOf" | "lastIndexOf" => Some("int"),
            "string" | "trim" | "replace" | "lowerAscii" | "upperAscii" | "join" | "format" => {
                Some("string")
            }
            "double" => Some("double"),
            "uint" => Some("uint"),
            "split" => Some("list"),
            _ => None,
        },
        _ => None,
    }
}
