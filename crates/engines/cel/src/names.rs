//! The names that an expression uses, for expressions that say which variables they have.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// Types that can be named, as in `type(a) == int`.
const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "dyn",
    "google",
    "int",
    "list",
    "map",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
];

/// What stands before the dot of global functions.
const NAMESPACES: &[&str] = &["base64", "optional", "sets", "strings"];

/// Functions called by plain name, or on a value.
const FUNCTIONS: &[&str] = &[
    "bool",
    "bytes",
    "charAt",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "first",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "hasValue",
    "indexOf",
    "int",
    "join",
    "last",
    "lastIndexOf",
    "lowerAscii",
    "matches",
    "or",
    "orValue",
    "replace",
    "reverse",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "timestamp",
    "trim",
    "type",
    "uint",
    "upperAscii",
    "value",
];

/// A name that nothing declares, with the node that uses it.
pub(crate) struct Undeclared {
    pub(crate) name: String,
    pub(crate) node: u64,
}

/// Returns the first name in an expression that is neither declared nor bound within it.
pub(crate) fn undeclared(root: &IdedExpr, declared: &[&str]) -> Option<Undeclared> {
    Search {
        declared,
        bound: Vec::new(),
    }
    .visit(root)
}

struct Search<'a> {
    declared: &'a [&'a str],
    bound: Vec<&'a str>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, node: &'a IdedExpr) -> Option<Undeclared> {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => None,
            Expr::Ident(name) => (!self.knows(name)).then(|| Undeclared {
                name: name.clone(),
                node: node.id,
            }),
            Expr::Select(select) => self.visit(&select.operand),
            Expr::List(list) => self.all(&list.elements),
            Expr::Map(map) => map.entries.iter().find_map(|entry| self.entry(&entry.expr)),
            Expr::Struct(made) => made
                .entries
                .iter()
                .find_map(|entry| self.entry(&entry.expr)),
            Expr::Call(call) => {
                let namespace = match call.target.as_deref() {
                    Some(IdedExpr {
                        expr: Expr::Ident(name),
                        ..
                    }) if !self.binds(name) => NAMESPACES.contains(&name.as_str()),
                    _ => false,
                };
                if !namespace && let Some(target) = &call.target {
                    let found = self.visit(target);
                    if found.is_some() {
                        return found;
                    }
                }
                let name = call.func_name.as_str();
                let operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
                if !(namespace || operator || is_function(name)) {
                    let name = name.to_owned();
                    let node = node.id;
                    return Some(Undeclared { name, node });
                }
                self.all(&call.args)
            }
            Expr::Comprehension(fold) => {
                let found = self
                    .visit(&fold.iter_range)
                    .or_else(|| self.visit(&fold.accu_init));
                if found.is_some() {
                    return found;
                }
                let depth = self.bound.len();
                self.bound.push(&fold.iter_var);
                self.bound.extend(fold.iter_var2.as_deref());
                self.bound.push(&fold.accu_var);
                let found = self
                    .visit(&fold.loop_cond)
                    .or_else(|| self.visit(&fold.loop_step))
                    .or_else(|| self.visit(&fold.result));
                self.bound.truncate(depth);
                found
            }
        }
    }

    fn all(&mut self, nodes: &'a [IdedExpr]) -> Option<Undeclared> {
        nodes.iter().find_map(|node| self.visit(node))
    }

    fn entry(&mut self, entry: &'a EntryExpr) -> Option<Undeclared> {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => {
                let found = self.visit(&entry.key);
                found.or_else(|| self.visit(&entry.value))
            }
        }
    }

    fn binds(&self, name: &str) -> bool {
        self.declared.contains(&name) || self.bound.contains(&name)
    }

    fn knows(&self, name: &str) -> bool {
        self.binds(name) || TYPES.contains(&name)
    }
}

/// Tells whether a function of this name can be called.
fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
        || NAMESPACES
            .iter()
            .any(|n| name.starts_with(&format!("{n}.")))
}
