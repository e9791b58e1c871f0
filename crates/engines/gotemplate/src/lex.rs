//! Cuts a template's text into tokens.

/// A token with its byte position and line.
#[derive(Debug, Clone)]
pub(crate) struct Token<'s> {
    pub(crate) kind: TokenKind,
    pub(crate) at: usize,
    pub(crate) line: usize,
    pub(crate) text: &'s str,
    /// The message of an error token.
    pub(crate) error: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Error,
    Bool,
    /// A printable character that is none of the others, such as a comma.
    Char,
    CharConstant,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Keyword,
    Dot,
    Nil,
}

impl Token<'_> {
    pub(crate) fn is_keyword(&self, word: &str) -> bool {
        self.kind == TokenKind::Keyword && self.text == word
    }

    /// How the token appears in an error text.
    pub(crate) fn shown(&self) -> String {
        match self.kind {
            TokenKind::Eof => "EOF".to_owned(),
            TokenKind::Error => self.error.clone(),
            TokenKind::Keyword | TokenKind::Dot | TokenKind::Nil => format!("<{}>", self.text),
            _ if self.text.len() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                format!("{}...", quote(&head))
            }
            _ => quote(self.text),
        }
    }
}

pub(crate) fn quote(text: &str) -> String {
    go::strconv::quote(text.as_bytes(), go::strconv::Charset::Unicode)
}

/// Keywords; `.` and `nil` have kinds of their own.
const KEYWORDS: [&str; 11] = [
    "block", "break", "continue", "define", "else", "end", "if", "range", "template", "with", "nil",
];

const LEFT: &str = "{{";
const RIGHT: &str = "}}";

#[derive(Debug)]
pub(crate) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    line: usize,
    inside: bool,
    parens: usize,
    done: bool,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

/// `- ` after the left delimiter.
fn trims_left(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

/// ` -` before the right delimiter.
fn trims_right(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_space) && chars.next() == Some('-')
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        Self {
            source,
            at: 0,
            line: 1,
            inside: false,
            parens: 0,
            done: false,
        }
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn emit(&mut self, kind: TokenKind, length: usize) -> Token<'s> {
        let text = &self.source[self.at..self.at + length];
        let token = Token {
            kind,
            at: self.at,
            line: self.line,
            text,
            error: String::new(),
        };
        self.skip(length);
        token
    }

    fn skip(&mut self, length: usize) {
        let text = &self.source[self.at..self.at + length];
        self.line += text.bytes().filter(|b| *b == b'\n').count();
        self.at += length;
    }

    fn fail(&mut self, message: impl Into<String>) -> Token<'s> {
        self.done = true;
        Token {
            kind: TokenKind::Error,
            at: self.at,
            line: self.line,
            text: "",
            error: message.into(),
        }
    }

    pub(crate) fn next(&mut self) -> Token<'s> {
        if self.done {
            return self.emit(TokenKind::Eof, 0);
        }
        loop {
            let token = if self.inside {
                Some(self.action())
            } else {
                self.outside()
            };
            if let Some(token) = token {
                return token;
            }
        }
    }

    /// Text up to the next action. `None`: a comment was skipped.
    fn outside(&mut self) -> Option<Token<'s>> {
        let rest = self.rest();
        let Some(found) = rest.find(LEFT) else {
            if rest.is_empty() {
                self.done = true;
                return Some(self.emit(TokenKind::Eof, 0));
            }
            return Some(self.emit(TokenKind::Text, rest.len()));
        };
        if found > 0 {
            let text = &rest[..found];
            let kept = if trims_left(&rest[found + LEFT.len()..]) {
                text.trim_end_matches(is_space).len()
            } else {
                found
            };
            if kept > 0 {
                let token = self.emit(TokenKind::Text, kept);
                self.skip(found - kept);
                return Some(token);
            }
            self.skip(found);
        }
        let after = &self.rest()[LEFT.len()..];
        let marker = if trims_left(after) { 2 } else { 0 };
        if after[marker..].starts_with("/*") {
            return self.comment(LEFT.len() + marker);
        }
        let token = self.emit(TokenKind::LeftDelim, LEFT.len());
        self.skip(marker);
        self.inside = true;
        self.parens = 0;
        Some(token)
    }

    fn comment(&mut self, open: usize) -> Option<Token<'s>> {
        let body = &self.rest()[open + 2..];
        let Some(close) = body.find("*/") else {
            return Some(self.fail("unclosed comment"));
        };
        let after = &body[close + 2..];
        let trim = trims_right(after) && after[2..].starts_with(RIGHT);
        if !trim && !after.starts_with(RIGHT) {
            return Some(self.fail("comment ends before closing delimiter"));
        }
        let length = open + 2 + close + 2 + if trim { 2 } else { 0 } + RIGHT.len();
        self.skip(length);
        if trim {
            self.trim_following();
        }
        None
    }

    fn trim_following(&mut self) {
        let rest = self.rest();
        self.skip(rest.len() - rest.trim_start_matches(is_space).len());
    }

    fn action(&mut self) -> Token<'s> {
        let rest = self.rest();
        let trim = trims_right(rest) && rest[2..].starts_with(RIGHT);
        if trim || rest.starts_with(RIGHT) {
            if self.parens > 0 {
                return self.fail("unclosed left paren");
            }
            return self.right_delim(trim);
        }
        let Some(c) = rest.chars().next() else {
            return self.fail("unclosed action");
        };
        match c {
            c if is_space(c) => self.space(),
            '=' => self.emit(TokenKind::Assign, 1),
            ':' if rest[1..].starts_with('=') => self.emit(TokenKind::Declare, 2),
            ':' => self.fail("expected :="),
            '|' => self.emit(TokenKind::Pipe, 1),
            '"' | '\'' => self.quoted(c),
            '`' => match rest[1..].find('`') {
                Some(end) => self.emit(TokenKind::RawString, end + 2),
                None => self.fail("unterminated raw quoted string"),
            },
            '$' => self.name(TokenKind::Variable),
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.name(TokenKind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => self.number(),
            c if is_alphanumeric(c) => self.identifier(),
            '(' => {
                self.parens += 1;
                self.emit(TokenKind::LeftParen, 1)
            }
            ')' if self.parens == 0 => self.fail("unexpected right paren"),
            ')' => {
                self.parens -= 1;
                self.emit(TokenKind::RightParen, 1)
            }
            c if c.is_ascii() && go::strconv::is_print(c) => self.emit(TokenKind::Char, 1),
            c => self.fail(format!(
                "unrecognized character in action: {}",
                code_point(c)
            )),
        }
    }

    fn right_delim(&mut self, trim: bool) -> Token<'s> {
        if trim {
            self.skip(2);
        }
        let token = self.emit(TokenKind::RightDelim, RIGHT.len());
        if trim {
            self.trim_following();
        }
        self.inside = false;
        token
    }

    /// A run of white space; the last of it may belong to a trimming delimiter.
    fn space(&mut self) -> Token<'s> {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(is_space).len();
        let last = &rest[length - 1..];
        if trims_right(last) && last[2..].starts_with(RIGHT) {
            // A single space never comes here: it was taken for the delimiter.
            return self.emit(TokenKind::Space, length - 1);
        }
        self.emit(TokenKind::Space, length)
    }

    fn quoted(&mut self, mark: char) -> Token<'s> {
        let rest = self.rest();
        let (kind, name) = if mark == '"' {
            (TokenKind::String, "quoted string")
        } else {
            (TokenKind::CharConstant, "character constant")
        };
        let mut chars = rest.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' if chars.next().is_some_and(|(_, c)| c != '\n') => {}
                '\\' | '\n' => break,
                c if c == mark => return self.emit(kind, i + 1),
                _ => {}
            }
        }
        self.fail(format!("unterminated {name}"))
    }

    /// Whether what stands at the start of a text ends a name.
    fn ends_name(text: &str) -> bool {
        text.starts_with(RIGHT)
            || text
                .chars()
                .next()
                .is_none_or(|c| is_space(c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '('))
    }

    /// `.field` or `$variable`; the bare mark is the dot or the root variable.
    fn name(&mut self, kind: TokenKind) -> Token<'s> {
        let rest = &self.rest()[1..];
        let length = rest.find(|c| !is_alphanumeric(c)).unwrap_or(rest.len());
        if length == 0 && Self::ends_name(rest) {
            let bare = if kind == TokenKind::Field {
                TokenKind::Dot
            } else {
                kind
            };
            return self.emit(bare, 1);
        }
        if !Self::ends_name(&rest[length..]) {
            return self.bad_character(&rest[length..], 1 + length);
        }
        self.emit(kind, 1 + length)
    }

    fn bad_character(&mut self, text: &str, consumed: usize) -> Token<'s> {
        self.skip(consumed);
        let c = text.chars().next().unwrap_or_default();
        self.fail(format!("bad character {}", code_point(c)))
    }

    fn identifier(&mut self) -> Token<'s> {
        let rest = self.rest();
        let length = rest.find(|c| !is_alphanumeric(c)).unwrap_or(rest.len());
        if !Self::ends_name(&rest[length..]) {
            return self.bad_character(&rest[length..], length);
        }
        let kind = match &rest[..length] {
            "nil" => TokenKind::Nil,
            "true" | "false" => TokenKind::Bool,
            word if KEYWORDS.contains(&word) => TokenKind::Keyword,
            _ => TokenKind::Identifier,
        };
        self.emit(kind, length)
    }

    fn number(&mut self) -> Token<'s> {
        let rest = self.rest();
        let length = number_length(rest);
        let tail = &rest[length..];
        let next = tail.chars().next();
        if next.is_some_and(is_alphanumeric) || matches!(next, Some('+' | '-')) {
            let end = length + next.map_or(0, char::len_utf8);
            return self.fail(format!("bad number syntax: {}", quote(&rest[..end])));
        }
        self.emit(TokenKind::Number, length)
    }
}

/// The length of what looks like a number.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let prefix = bytes.get(at + 1).map(u8::to_ascii_lowercase);
    let mut digits: &[u8] = b"0123456789_";
    let prefixed = bytes.get(at) == Some(&b'0');
    if prefixed {
        digits = match prefix {
            Some(b'x') => b"0123456789abcdefABCDEF_",
            Some(b'o') => b"01234567_",
            Some(b'b') => b"01_",
            _ => digits,
        };
        at += if digits.len() == 11 { 1 } else { 2 };
    }
    let run = |from: usize, set: &[u8]| {
        from + bytes.get(from..).map_or(0, |rest| {
            rest.iter().take_while(|b| set.contains(b)).count()
        })
    };
    at = run(at, digits);
    if bytes.get(at) == Some(&b'.') {
        at = run(at + 1, digits);
    }
    let exponent: &[u8] = match digits.len() {
        11 => b"eE",
        23 => b"pP",
        _ => b"",
    };
    if bytes.get(at).is_some_and(|b| exponent.contains(b)) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = run(at, b"0123456789_");
    }
    at
}

/// `U+0040 '@'`
fn code_point(c: char) -> String {
    let code = u32::from(c);
    if go::strconv::is_print(c) {
        format!("U+{code:04X} '{c}'")
    } else {
        format!("U+{code:04X}")
    }
}
