//! Random templates over the function table. Time-dependent results are not generated.

use super::super::random::Random;

/// What templates can include as `h`.
pub(super) const PARTIAL: &str = "{{ define \"h\" }}<{{ . | toJson }}{{ .x }}>{{ end }}";

/// What templates see.
pub(super) const VALUES: &str = "i: 5\nbig: 1000000\nf: 1.5\nneg: -3\nver: 1.10\ns: text\nstr: Hello World foo-bar\nmulti: \"line1\\nline2\\n\"\nnum: \"42\"\nurl: http://u:p@h.com:80/p?q=1#f\ne: \"\"\nb: true\nn: null\nl: [1, 2, 3]\nls: [b, a, c, a]\nlm: [{name: x, v: 1}, {name: z, v: 2}]\nel: []\nm: {b: 1, a: x, c10: 3, c2: 4, C: 5}\nnested: {a: {b: {c: deep}}, l: [1, {x: z}]}\nsem: 1.2.3\nuni: \"h\\u00e9llo \\u2603\"\nquotes: \"it's \\\"q\\\" <b> & c\"\n";

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

/// Writes templates.
pub(super) struct Generator(pub(super) Random);

impl Generator {
    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.0.below(items.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.0.chance(percent)
    }

    fn operand(&mut self, class: char, depth: usize) -> String {
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

    fn call(&mut self, depth: usize) -> String {
        let (classes, names) = self.pick(FUNCTIONS);
        let name = *self.pick(&names.split(' ').collect::<Vec<_>>());
        let mut args: Vec<String> = classes.chars().map(|c| self.operand(c, depth)).collect();
        let piped = self.chance(25).then(|| args.pop()).flatten();
        let head = piped.map_or_else(String::new, |last| format!("{last} | "));
        format!("{head}{name} {}", args.join(" "))
    }

    pub(super) fn template(&mut self) -> String {
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
