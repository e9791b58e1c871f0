//! Paths and URLs.

use go::path;

use super::Function;
use super::args::Arguments;
use super::escape::percent;
use crate::engine::Call;
use crate::error::Fault;
use crate::value::{Map, Type, Value};

type Result = std::result::Result<Value, Fault>;

const STR: Type = Type::String;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("base", &[STR], |_, a| {
        Ok(Value::from(path::base(&a.text(0))))
    }),
    Function::fixed("osBase", &[STR], |_, a| {
        Ok(Value::from(path::base(&a.text(0))))
    }),
    Function::fixed("dir", &[STR], |_, a| Ok(Value::from(path::dir(&a.text(0))))),
    Function::fixed("osDir", &[STR], |_, a| {
        Ok(Value::from(path::dir(&a.text(0))))
    }),
    Function::fixed("clean", &[STR], |_, a| {
        Ok(Value::from(path::clean(&a.text(0))))
    }),
    Function::fixed("osClean", &[STR], |_, a| {
        Ok(Value::from(path::clean(&a.text(0))))
    }),
    Function::fixed("ext", &[STR], |_, a| Ok(Value::from(path::ext(&a.text(0))))),
    Function::fixed("osExt", &[STR], |_, a| {
        Ok(Value::from(path::ext(&a.text(0))))
    }),
    Function::fixed("isAbs", &[STR], |_, a| {
        Ok(Value::Bool(path::is_abs(&a.text(0))))
    }),
    Function::fixed("osIsAbs", &[STR], |_, a| {
        Ok(Value::Bool(path::is_abs(&a.text(0))))
    }),
    Function::fixed("urlParse", &[STR], url_parse),
    Function::fixed("urlJoin", &[Type::Dict], url_join),
    Function::fixed("getHostByName", &[STR], |_, _| Ok(Value::empty())),
];

/// A URL taken apart, as `net/url` does it.
#[derive(Debug, Default)]
struct Url {
    scheme: String,
    opaque: String,
    userinfo: String,
    host: String,
    path: String,
    query: String,
    fragment: String,
}

fn url_parse(_: &Call<'_>, args: &[Value]) -> Result {
    let text = args.text(0);
    let url = parse(&text).map_err(|what| {
        let shown = crate::lex::quote(&text);
        Fault::new(format!("unable to parse url: parse {shown}: {what}"))
    })?;
    let hostname = hostname(&url.host);
    let entries = [
        ("scheme", url.scheme),
        ("host", url.host),
        ("hostname", hostname),
        ("path", url.path),
        ("query", url.query),
        ("opaque", url.opaque),
        ("fragment", url.fragment),
        ("userinfo", url.userinfo),
    ];
    Ok(Value::Map(
        entries
            .into_iter()
            .map(|(k, v)| (k, Value::from(v)))
            .collect::<Map>(),
    ))
}

fn hostname(host: &str) -> String {
    if let Some(rest) = host.strip_prefix('[')
        && let Some(end) = rest.find(']')
    {
        return rest[..end].to_owned();
    }
    host.split(':').next().unwrap_or_default().to_owned()
}

fn parse(text: &str) -> std::result::Result<Url, String> {
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut url = Url {
        fragment: decoded(fragment, Part::Fragment)?,
        ..Url::default()
    };
    let rest = scheme(before, &mut url)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    query.clone_into(&mut url.query);
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if rest
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':'))
        {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let local = url.scheme.is_empty() && rest.starts_with("///");
    let mut path = rest;
    if let Some(after) = rest.strip_prefix("//").filter(|_| !local) {
        let end = after.find('/').unwrap_or(after.len());
        authority(&after[..end], &mut url)?;
        path = &after[end..];
    }
    url.path = decoded(path, Part::Path)?;
    Ok(url)
}

fn scheme<'a>(text: &'a str, url: &mut Url) -> std::result::Result<&'a str, String> {
    for (i, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if i > 0 => {}
            ':' if i == 0 => return Err("missing protocol scheme".to_owned()),
            ':' => {
                url.scheme = text[..i].to_lowercase();
                return Ok(&text[i + 1..]);
            }
            _ => break,
        }
    }
    Ok(text)
}

fn authority(text: &str, url: &mut Url) -> std::result::Result<(), String> {
    let (user, host) = text
        .rsplit_once('@')
        .map_or((None, text), |(u, h)| (Some(u), h));
    if let Some(user) = user {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
        if !user.bytes().all(allowed) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        let (name, password) = user
            .split_once(':')
            .map_or((user, None), |(n, p)| (n, Some(p)));
        let name = decoded(name, Part::User)?;
        url.userinfo = user_escaped(&name);
        if let Some(password) = password {
            let password = decoded(password, Part::User)?;
            url.userinfo.push(':');
            url.userinfo.push_str(&user_escaped(&password));
        }
    }
    let after = host.rfind(']').map_or(host, |i| &host[i + 1..]);
    if host.starts_with('[') && !host.contains(']') {
        return Err("missing ']' in host".to_owned());
    }
    if let Some(at) = after.rfind(':') {
        let port = &after[at..];
        if !port[1..].bytes().all(|b| b.is_ascii_digit()) {
            let shown = crate::lex::quote(port);
            return Err(format!("invalid port {shown} after host"));
        }
    }
    if let Some(bad) = host
        .chars()
        .find(|c| matches!(c, ' ' | '{' | '}' | '|' | '\\' | '^' | '`'))
    {
        let shown = crate::lex::quote(&bad.to_string());
        return Err(format!("invalid character {shown} in host name"));
    }
    url.host = decoded(host, Part::Host)?;
    Ok(())
}

fn user_escaped(text: &str) -> String {
    String::from_utf8_lossy(&percent(text.as_bytes(), b"$&+,;=!'()*", false)).into_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Fragment,
    User,
    Host,
}

fn decoded(text: &str, part: Part) -> std::result::Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'%' {
            out.push(*byte);
            at += 1;
            continue;
        }
        let end = (at + 3).min(text.len());
        let digits = text
            .get(at + 1..at + 3)
            .and_then(|d| u8::from_str_radix(d, 16).ok());
        let host_only = part == Part::Host && digits.is_some_and(|d| d < 0x80 && d != b'%');
        let Some(code) = digits.filter(|_| !host_only) else {
            let shown = String::from_utf8_lossy(&bytes[at..end]).into_owned();
            return Err(format!("invalid URL escape {}", crate::lex::quote(&shown)));
        };
        out.push(code);
        at += 3;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn url_join(_: &Call<'_>, args: &[Value]) -> Result {
    let dict = args
        .dict(0)
        .unwrap_or_else(|| Map::from_iter(Vec::<(&str, Value)>::new()));
    let field = |name: &str| match dict.get(name.as_bytes()) {
        None => Ok(String::new()),
        Some(Value::Str(text)) => Ok(text.text().into_owned()),
        Some(Value::Nil) => Err(Fault::new(super::args::NIL_POINTER)),
        Some(other) => Err(Fault::new(format!(
            "unable to parse {name} key, must be of type string, but {} found",
            other.kind().name()
        ))),
    };
    let (scheme, host, path) = (field("scheme")?, field("host")?, field("path")?);
    let (query, opaque, fragment) = (field("query")?, field("opaque")?, field("fragment")?);
    let userinfo = field("userinfo")?;
    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(&scheme);
        out.push(':');
    }
    if opaque.is_empty() {
        if !scheme.is_empty() || !host.is_empty() || !userinfo.is_empty() {
            if !host.is_empty() || !path.is_empty() || !userinfo.is_empty() {
                out.push_str("//");
            }
            if !userinfo.is_empty() {
                let parsed = parse(&format!("proto://{userinfo}@host"))
                    .map_err(|e| Fault::new(format!("unable to parse userinfo in dict: {e}")))?;
                out.push_str(&parsed.userinfo);
                out.push('@');
            }
            out.push_str(&escaped(&host, b"!$&'()*+,;=:[]<>\""));
        }
        let path = escaped(&path, b"$&+,/:;=@!'()*");
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        if out.is_empty() && path.split('/').next().is_some_and(|s| s.contains(':')) {
            out.push_str("./");
        }
        out.push_str(&path);
    } else {
        out.push_str(&opaque);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(&query);
    }
    if !fragment.is_empty() {
        out.push('#');
        out.push_str(&escaped(&fragment, b"$&+,/:;=?@!()*'"));
    }
    Ok(Value::from(out))
}

fn escaped(text: &str, keep: &[u8]) -> String {
    String::from_utf8_lossy(&percent(text.as_bytes(), keep, false)).into_owned()
}
