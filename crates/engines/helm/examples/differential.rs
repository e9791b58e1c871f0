//! Compares random templates with Helm's own engine.
//!
//! `cargo run -p lockgate-helm --example differential -- ORACLE CASES SEED`, ORACLE being the
//! program built from `hack/oracles/helm`. Prints each template on which outputs or error texts
//! differ, then the count. Time-dependent results are not generated.
#![expect(clippy::disallowed_types, reason = "the oracle is another process")]

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use gotemplate::Random;
use helm::capabilities::Capabilities;
use helm::chart::{File, from_files};
use helm::render::{Mode, Release, Settings};
use helm::template::{Request, render_files};
use serde_json::{Map, Value as Json, json};

const CHART: &str = "apiVersion: v2\nname: c\nversion: 1.0.0\n";
const PARTIAL: &str = "{{ define \"h\" }}<{{ . | toJson }}{{ .x }}>{{ end }}";
const VALUES: &str = "i: 5\nbig: 1000000\nf: 1.5\nneg: -3\nver: 1.10\ns: text\nstr: Hello World foo-bar\nmulti: \"line1\\nline2\\n\"\nnum: \"42\"\nurl: http://u:p@h.com:80/p?q=1#f\ne: \"\"\nb: true\nn: null\nl: [1, 2, 3]\nls: [b, a, c, a]\nlm: [{name: x, v: 1}, {name: z, v: 2}]\nel: []\nm: {b: 1, a: x, c10: 3, c2: 4, C: 5}\nnested: {a: {b: {c: deep}}, l: [1, {x: z}]}\nsem: 1.2.3\nuni: \"h\\u00e9llo \\u2603\"\nquotes: \"it's \\\"q\\\" <b> & c\"\n";

/// Operands by class: `s` texts, `i` integers, `n` numbers, `l` lists, `d` dictionaries, `b`
/// booleans; `a` is any of them.
const OPERANDS: &[(char, &str)] = &[
    (
        's',
        "\"\" \"a\" \"hello\" \"a,b,c\" \"5\" \"0x1F\" \"1.5\" \"foo_bar-baz\" \"FooBarBaz\" \"true\" \"%d|%s|%v\" \"%q\" \"^1.2\" \">=1.0\" \"a*\" \"[a-z]+\" \"(b)(c)?\" \"$1-\" \"[1,2.5]\" \"{}\" \"aGk=\" \"/a/b/../c.txt\" \"é☃\" .Values.s .Values.str .Values.multi .Values.num .Values.url .Values.e .Values.sem .Values.uni .Values.quotes",
    ),
    (
        'i',
        "0 1 2 3 5 -1 7 (int64 2) (int .Values.i) (len .Values.l)",
    ),
    (
        'n',
        "1 2 -3 0 2.5 10 .Values.i .Values.f .Values.big \"3\" \"08\" \"1.0\" true nil .Values.neg .Values.nope",
    ),
    (
        'l',
        ".Values.l .Values.ls .Values.lm .Values.el (list) (until 3) (list nil 1.5 true) .Values.s .Values.nope (rest (list 1))",
    ),
    (
        'd',
        ".Values.m .Values.nested (dict) (dict \"a\" 1) (dict \"k\" (dict \"n\" 1)) .Values.nope .Values.l (pick .Values.m \"a\")",
    ),
    ('b', "true false .Values.b .Values.s"),
];

/// Functions by the classes of their arguments.
const FUNCTIONS: &[(&str, &str)] = &[
    ("is", "abbrev trunc repeat indent nindent wrap"),
    (
        "s",
        "b64enc b64dec b32enc b32dec camelcase snakecase kebabcase initials lower upper nospace swapcase title untitle trim sha1sum sha256sum adler32sum base dir clean ext isAbs urlParse regexQuoteMeta fromJson fromJsonArray fromYaml fromYamlArray semver atoi",
    ),
    (
        "ss",
        "contains hasPrefix hasSuffix trimPrefix trimSuffix trimAll splitList split regexMatch regexFind semverCompare",
    ),
    ("sss", "replace regexReplaceAll regexReplaceAllLiteral"),
    ("ssi", "regexFindAll regexSplit plural"),
    ("iis", "substr abbrevboth"),
    (
        "aa",
        "quote squote cat print println html urlquery list and or any all coalesce default eq ne lt le gt ge deepEqual",
    ),
    (
        "a",
        "toString toStrings toJson toPrettyJson toRawJson toYaml toYamlPretty kindOf typeOf empty not len int int64 float64 ceil floor toDecimal add1 sortAlpha mustToJson",
    ),
    ("sa", "join printf"),
    ("sd", "pluck"),
    (
        "nn",
        "add sub mul div mod max min addf subf mulf divf maxf minf",
    ),
    ("ni", "round"),
    ("ii", "seq"),
    ("iii", "untilStep"),
    ("l", "first last rest initial reverse uniq compact"),
    ("la", "append prepend without"),
    ("ll", "concat"),
    ("al", "has"),
    ("li", "slice index"),
    ("ds", "hasKey get pick omit index"),
    ("dd", "merge mergeOverwrite"),
    ("dsa", "set"),
    ("sad", "dig"),
    ("aab", "ternary"),
    ("sa", "required kindIs typeIs"),
];

struct Generator(Random);

impl Generator {
    fn pick<'a, T>(&self, items: &'a [T]) -> &'a T {
        let index = usize::try_from(self.0.below(items.len() as u64)).unwrap_or(0);
        &items[index]
    }

    fn chance(&self, percent: u64) -> bool {
        self.0.below(100) < percent
    }

    fn operand(&self, class: char, depth: usize) -> String {
        if depth < 2 && self.chance(20) {
            return format!("({})", self.call(depth + 1));
        }
        let class = if class == 'a' {
            *self.pick(&['s', 'i', 'n', 'l', 'd', 'b'])
        } else {
            class
        };
        let words = OPERANDS
            .iter()
            .find(|(c, _)| *c == class)
            .map_or("", |(_, words)| words);
        self.pick(&operands(words)).clone()
    }

    fn call(&self, depth: usize) -> String {
        let (classes, names) = self.pick(FUNCTIONS);
        let name = *self.pick(&names.split(' ').collect::<Vec<_>>());
        let mut args: Vec<String> = classes.chars().map(|c| self.operand(c, depth)).collect();
        let piped = self.chance(25).then(|| args.pop()).flatten();
        let head = piped.map_or_else(String::new, |last| format!("{last} | "));
        format!("{head}{name} {}", args.join(" "))
    }

    fn template(&self) -> String {
        let call = self.call(0);
        match self.0.below(10) {
            0 => format!(
                "{{{{- range $k, $v := {} }}}}{{{{ $k }}}}={{{{ $v }}}};{{{{ end -}}}}",
                self.operand('l', 1)
            ),
            1 => format!("{{{{ with {call} }}}}{{{{ . }}}}{{{{ else }}}}E{{{{ end }}}}"),
            2 => format!("{{{{ if {call} }}}}T{{{{ else }}}}F{{{{ end }}}}"),
            3 => format!("{{{{ include \"h\" {} }}}}", self.operand('a', 1)),
            4 => format!("{{{{ $x := {call} }}}}{{{{ $x }}}}"),
            5 => format!(
                "{{{{ {call} | quote }}}}{{{{ {} | toJson }}}}",
                self.call(0)
            ),
            _ => format!("{{{{ {call} }}}}"),
        }
    }
}

/// Cuts at spaces outside of parentheses and quotes.
fn operands(words: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let (mut depth, mut quoted) = (0_u32, false);
    for c in words.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == ' ' && depth == 0 && !quoted {
            out.push(String::new());
        } else if let Some(last) = out.last_mut() {
            last.push(c);
        }
    }
    out
}

fn ours(template: &str) -> Result<String, String> {
    let files = [
        ("Chart.yaml", CHART),
        ("templates/_h.tpl", PARTIAL),
        ("templates/a.yaml", template),
    ];
    let files: Vec<File> = files
        .iter()
        .map(|(n, t)| File::new(*n, t.as_bytes()))
        .collect();
    let chart = from_files(&files).map_err(|e| e.to_string())?;
    let (name, namespace) = ("rel".to_owned(), "ns".to_owned());
    let request = Request {
        values: helm::values::read(VALUES.as_bytes(), "values").map_err(|e| e.to_string())?,
        release: Release {
            name,
            namespace,
            revision: 1,
            is_upgrade: false,
        },
        capabilities: Capabilities::default(),
        settings: Settings {
            mode: Mode::Normal,
            now: go::time::Time::from_unix(1_700_000_000, 0),
            seed: [1; 32],
            limits: gotemplate::Limits::default(),
            lookup: None,
        },
        skip_schema: false,
        sub_notes: false,
    };
    let rendered = render_files(chart, &request).map_err(|e| e.to_string())?;
    Ok(rendered
        .into_iter()
        .next()
        .map(|f| f.text)
        .unwrap_or_default())
}

fn theirs(answer: &Json) -> Result<String, String> {
    match answer["err"].as_str() {
        Some(error) => Err(error.to_owned()),
        None => Ok(answer["out"]["c/templates/a.yaml"]
            .as_str()
            .unwrap_or_default()
            .to_owned()),
    }
}

/// The running oracle.
struct Oracle {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Oracle {
    fn start(program: &str) -> std::io::Result<Self> {
        let mut command = Command::new(program);
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn()?;
        let Some(stdout) = child.stdout.take() else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            child,
            answers: BufReader::new(stdout).lines(),
        })
    }

    /// The answer, or nothing from an oracle that died.
    fn ask(&mut self, request: &Json) -> std::io::Result<Option<String>> {
        if let Some(input) = &mut self.child.stdin {
            writeln!(input, "{request}")?;
        }
        self.answers.next().transpose()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(oracle), Some(cases), Some(seed)) = (args.next(), args.next(), args.next()) else {
        return Err("wanted: ORACLE CASES SEED".into());
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.parse::<u64>()?.to_be_bytes());
    let generator = Generator(Random::from_seed(bytes));
    let mut peer = Oracle::start(&oracle)?;
    let mut out = std::io::stdout().lock();
    let (mut agreed, mut compared) = (0, 0);
    for _ in 0..cases.parse::<u32>()? {
        let template = generator.template();
        let files: Map<String, Json> = [
            ("Chart.yaml", CHART),
            ("templates/_h.tpl", PARTIAL),
            ("templates/a.yaml", template.as_str()),
        ]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), json!(text)))
        .collect();
        let request = json!({ "files": files, "values": VALUES });
        let Some(line) = peer.ask(&request)? else {
            // A map put into itself overflows Go's stack.
            writeln!(out, "the oracle died of: {template}")?;
            peer = Oracle::start(&oracle)?;
            continue;
        };
        let (expected, found) = (theirs(&serde_json::from_str(&line)?), ours(&template));
        compared += 1;
        if expected == found {
            agreed += 1;
        } else {
            writeln!(out, "{template}\n  helm: {expected:?}\n  here: {found:?}")?;
        }
    }
    writeln!(out, "{agreed} of {compared} agree (seed {seed})")?;
    Ok(())
}
