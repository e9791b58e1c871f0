//! The function table: Go's builtin functions and sprig's, one file a family.
#![expect(
    clippy::unnecessary_wraps,
    reason = "all functions of the table have one signature"
)]

mod args;
mod builtin;
mod cast;
mod certificates;
pub(crate) mod dates;
mod decimal;
mod dicts;
mod digest;
mod escape;
mod json;
mod lists;
mod logic;
mod math;
mod merge;
mod passwords;
mod paths;
mod randoms;
mod reflect;
mod regex;
mod strings;
mod versions;
mod words;

use std::collections::HashMap;

use crate::engine::Call;
use crate::error::Fault;
use crate::value::{Type, Value};

pub use args::{Arguments, string_of};
pub use json::{
    Invalid as InvalidJson, Style as JsonStyle, encode as encode_json, parse as parse_json,
    parse_first as parse_first_json,
};

/// What a function does.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Stops at the first false argument.
    And,
    /// Stops at the first true argument.
    Or,
    /// Is called with its checked arguments.
    Native(fn(&Call<'_>, &[Value]) -> Result<Value, Fault>),
}

/// A function and its Go signature.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// The name in templates.
    pub name: &'static str,
    /// The parameters; of a variadic function the last may come any number of times.
    pub params: &'static [Type],
    /// Whether the last parameter may come any number of times.
    pub variadic: bool,
    /// What it does.
    pub body: Body,
}

impl Function {
    /// A function with a fixed number of parameters.
    pub const fn fixed(
        name: &'static str,
        params: &'static [Type],
        body: fn(&Call<'_>, &[Value]) -> Result<Value, Fault>,
    ) -> Self {
        Self {
            name,
            params,
            variadic: false,
            body: Body::Native(body),
        }
    }

    /// A function whose last parameter may come any number of times.
    pub const fn variadic(
        name: &'static str,
        params: &'static [Type],
        body: fn(&Call<'_>, &[Value]) -> Result<Value, Fault>,
    ) -> Self {
        Self {
            name,
            params,
            variadic: true,
            body: Body::Native(body),
        }
    }
}

/// The functions of one rendering by name.
#[derive(Debug, Clone, Default)]
pub struct Functions(HashMap<&'static str, Function>);

impl Functions {
    /// Go's builtin functions and sprig's, without those that read the environment.
    pub fn sprig() -> Self {
        let mut functions = Self::default();
        let families = [
            builtin::FUNCTIONS,
            certificates::FUNCTIONS,
            dates::FUNCTIONS,
            dicts::FUNCTIONS,
            digest::FUNCTIONS,
            json::FUNCTIONS,
            lists::FUNCTIONS,
            logic::FUNCTIONS,
            math::FUNCTIONS,
            merge::FUNCTIONS,
            passwords::FUNCTIONS,
            paths::FUNCTIONS,
            randoms::FUNCTIONS,
            reflect::FUNCTIONS,
            regex::FUNCTIONS,
            strings::FUNCTIONS,
            versions::FUNCTIONS,
            words::FUNCTIONS,
        ];
        for family in families {
            functions.add(family);
        }
        functions
    }

    /// Adds functions; one with a known name replaces the other.
    pub fn add(&mut self, functions: &[Function]) {
        for function in functions {
            self.0.insert(function.name, *function);
        }
    }

    /// Takes functions out.
    pub fn remove(&mut self, names: &[&'static str]) {
        for name in names {
            self.0.remove(name);
        }
    }

    /// Looks a function up.
    pub fn get(&self, name: &str) -> Option<Function> {
        self.0.get(name).copied()
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.keys().copied().collect();
        names.sort_unstable();
        names
    }
}
