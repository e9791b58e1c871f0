//! Templates with the outputs and errors that Go's engine gives for them.
#![expect(clippy::too_many_lines, reason = "tables of vectors are long")]

use std::rc::Rc;

use gotemplate::funcs::Functions;
use gotemplate::{Limits, Random, Shared, Templates, Value};

fn shared() -> Shared {
    let now = go::time::Time::from_unix(1_700_000_000, 0);
    Shared::new(
        Functions::sprig(),
        now,
        Random::from_seed([7; 32]),
        Limits::default(),
    )
}

fn values() -> serde_json::Value {
    serde_json::json!({
        "Values": {
            "i": 5, "big": 1_000_000, "f": 1.5, "fl": 1.0, "sci": 1000, "bigger": 12_345_678_901_234_567_u64,
            "s": "text", "e": "", "b": true, "n": null, "l": [1, 2, 3], "el": [],
            "m": {"b": 1, "a": "x", "c10": 3, "c2": 4, "C": 5}, "em": {},
        },
    })
}

fn render(text: &str) -> Result<String, String> {
    let shared = shared();
    let mut set = Templates::new("gotpl");
    set.parse("t", text, &shared).map_err(|e| e.to_string())?;
    let set = Rc::new(set);
    let out = set
        .execute("t", Value::from_json(&values()), &shared)
        .map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn check(text: &str, expect: &str) {
    assert_eq!(render(text).as_deref(), Ok(expect), "{text}");
}

fn fails(text: &str, expect: &str) {
    let outcome = render(text);
    let fits = outcome.as_ref().is_err_and(|error| error.ends_with(expect));
    assert!(fits, "{text}\n got {outcome:?}\nwant {expect}");
}

/// covers: HE-002, HE-013, HE-159, HE-160
#[test]
fn values_print_as_in_go() {
    check(
        "{{ .Values.i }} {{ .Values.big }} {{ .Values.f }} {{ .Values.fl }} {{ .Values.bigger }}",
        "5 1e+06 1.5 1 1.2345678901234568e+16",
    );
    check("{{ .Values.m }}", "map[C:5 a:x b:1 c10:3 c2:4]");
    check(
        "{{ .Values.nope }}|{{ nil | default nil }}"
            .replace("{{ nil | default nil }}", "x")
            .as_str(),
        "<no value>|x",
    );
    check("{{ toString .Values.l }}", "[1 2 3]");
    check("{{ .Values.n }}", "<no value>");
    check("{{ list nil 1 }}", "[<nil> 1]");
    check(
        "{{ 'a' }} {{ 1e3 }} {{ 0x1F }} {{ 1_000 }} {{ 0777 }} {{ -3 }}",
        "97 1000 31 1000 511 -3",
    );
    check(
        "{{ print 1 2 \"a\" \"b\" 3 nil true }}",
        "1 2ab3 <nil> true",
    );
    check("{{ printf \"%d\" .Values.i }}", "%!d(float64=5)");
    check(
        "{{ html \"<a href='x'>&\\\"\" }}",
        "&lt;a href=&#39;x&#39;&gt;&amp;&#34;",
    );
    check(
        "{{ js \"it's \\\"<x>\\\"\" }}",
        "it\\'s \\\"\\u003Cx\\u003E\\\"",
    );
    check("{{ urlquery \"a b&c=d/é\" }}", "a+b%26c%3Dd%2F%C3%A9");
}

/// covers: HE-003, HE-008, HE-065, HE-066
#[test]
fn comparison_follows_kinds() {
    check(
        "{{ eq (int .Values.i) 5 }} {{ eq .Values.i 5.0 }} {{ eq .Values.f 1.5 }}",
        "true true true",
    );
    check(
        "{{ has 2 .Values.l }} {{ has 2.0 .Values.l }}",
        "false true",
    );
    check(
        "{{ eq .Values.n nil }} {{ eq .Values.n \"a\" }} {{ eq .Values.m nil }}",
        "true false false",
    );
    check(
        "{{ and \"\" \"x\" }}|{{ and \"a\" \"x\" }}|{{ or \"\" \"x\" }}|{{ not 1 }}",
        "|x|x|false",
    );
    check("{{ if \"false\" }}yes{{ end }}", "yes");
    check(
        "{{ lt 1 2 }} {{ ge \"b\" \"a\" }} {{ ne 1 2 }} {{ eq 1 2 1 }}",
        "true true true true",
    );
    check("{{ and true (eq 1 1) | ternary \"a\" \"b\" }}", "a");
}

/// covers: HE-063, HE-064, HE-067, HE-069, HE-155
#[test]
fn control_flow_scopes_and_trims() {
    check(
        "{{ range $i, $e := .Values.l }}{{ $i }}={{ $e }};{{ end }}",
        "0=1;1=2;2=3;",
    );
    check(
        "{{ range $k, $v := .Values.m }}{{ $k }};{{ end }}",
        "C;a;b;c10;c2;",
    );
    check("{{ range .Values.el }}x{{ else }}none{{ end }}", "none");
    check(
        "{{ range 3 }}{{ . }}{{ end }}{{ range $i := until 2 }}{{ $i }}{{ end }}",
        "01201",
    );
    check(
        "{{ range .Values.l }}{{ if eq . 2.0 }}{{ continue }}{{ end }}{{ . }}{{ end }}",
        "13",
    );
    check(
        "{{ range .Values.l }}{{ if eq . 2.0 }}{{ break }}{{ end }}{{ . }}{{ end }}",
        "1",
    );
    check(
        "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}",
        "2",
    );
    check(
        "{{ with .Values.s }}{{ . }}{{ $.Values.i }}{{ end }}",
        "text5",
    );
    check(
        "{{ with .Values.e }}a{{ else with .Values.s }}{{ . }}{{ else }}c{{ end }}",
        "text",
    );
    check(
        "{{ if .Values.e }}a{{ else if .Values.s }}b{{ else }}c{{ end }}",
        "b",
    );
    check("a \n\t{{- 1 -}} \r\n b {{- /* c */ -}} c", "a1bc");
    check("a\u{a0} {{- 1 }}", "a\u{a0}1");
    check("{{/* c */}}\nx", "\nx");
    check(
        "{{ define \"t1\" }}[{{ . }}]{{ end }}{{ template \"t1\" .Values.i }}{{ template \"t1\" }}",
        "[5][<no value>]",
    );
    check("{{ block \"b\" 1 }}<{{ . }}>{{ end }}", "<1>");
    check(
        "{{ (list 1 2 | first) }}{{ (dict \"a\" (dict \"b\" 7)).a.b }}",
        "17",
    );
    check(
        "{{ $d := dict \"a\" 1 }}{{ $_ := set $d \"b\" 2 }}{{ $d.b }}{{ len $d }}",
        "22",
    );
    check("{{ \"a\\tb\" }}{{ `r\\n` }}", "a\tbr\\n");
    check("{{ .Values.s | upper | quote }}", "\"TEXT\"");
    check("{{ println 1 }}x", "1\nx");
}

/// covers: HE-006, HE-007, HE-062, HE-071, HE-141, HE-142
#[test]
fn errors_are_gos() {
    for (text, expect) in [
        (
            "{{ .Values.nope.foo }}",
            "template: t:1:10: executing \"t\" at <.Values.nope.foo>: nil pointer evaluating interface {}.foo",
        ),
        (
            "{{ eq .Values.i 5 }}",
            "t:1:3: executing \"t\" at <eq .Values.i 5>: error calling eq: incompatible types for comparison: float64 and int",
        ),
        (
            "{{ index .Values.nope \"x\" }}",
            "error calling index: index of untyped nil",
        ),
        (
            "{{ index .Values \"m\" \"zz\" \"q\" }}",
            "index of nil pointer",
        ),
        (
            "{{ index .Values.l .Values.i }}",
            "cannot index slice/array with type float64",
        ),
        ("{{ index .Values.l 5 }}", "index out of range: 5"),
        (
            "{{ len .Values.nope }}",
            "error calling len: len of nil pointer",
        ),
        ("{{ len 1 }}", "error calling len: len of type int"),
        ("{{ lt nil 1 }}", "invalid type for comparison"),
        (
            "{{ .Values \"x\" }}",
            "Values is not a method but has arguments",
        ),
        (
            "{{ until .Values.i }}",
            "at <.Values.i>: wrong type for value; expected int; got float64",
        ),
        (
            "{{ until (add 1 2) }}",
            "at <2>: wrong type for value; expected int; got int64",
        ),
        ("{{ lower nil }}", "cannot assign nil to string"),
        (
            "{{ lower .Values.nope }}",
            "wrong type for value; expected string; got interface {}",
        ),
        (
            "{{ .Values.nope | lower }}",
            "invalid value; expected string",
        ),
        ("{{ lower 5 }}", "expected string; found 5"),
        ("{{ until 1.5 }}", "expected integer; found 1.5"),
        ("{{ ternary 1 2 \"x\" }}", "expected bool; found \"x\""),
        ("{{ not }}", "wrong number of args for not: want 1 got 0"),
        (
            "{{ eq 1 }}",
            "error calling eq: missing argument for comparison",
        ),
        (
            "{{ .Values.s.x }}",
            "can't evaluate field x in type interface {}",
        ),
        (
            "{{ $v := .Values.l }}{{ $v.x }}",
            "can't evaluate field x in type []interface {}",
        ),
        (
            "{{ range .Values.s }}{{ end }}",
            "range can't iterate over text",
        ),
        (
            "{{ range .Values.i }}{{ end }}",
            "range can't iterate over 5",
        ),
        (
            "{{ range $i, $e := 3 }}{{ end }}",
            "can't use 3 to iterate over more than one variable",
        ),
        ("{{ nil }}", "nil is not a command"),
        ("{{ template \"zz\" }}", "template \"zz\" not defined"),
        (
            "{{ hasKey .Values.zz \"a\" }}",
            "wrong type for value; expected map[string]interface {}; got interface {}",
        ),
        (
            "{{ div 1 0 }}",
            "error calling div: runtime error: integer divide by zero",
        ),
        (
            "{{ first nil }}",
            "runtime error: invalid memory address or nil pointer dereference",
        ),
        (
            "{{ dig \"a\" 1 .Values.s }}",
            "interface conversion: interface {} is string, not map[string]interface {}",
        ),
        (
            "{{ regexFind \"(?!x)\" \"a\" }}",
            "regexp: Compile(`(?!x)`): error parsing regexp: invalid or unsupported Perl syntax: `(?!`",
        ),
        (
            "{{ substr 3 1 \"hello\" }}",
            "runtime error: slice bounds out of range [3:1]",
        ),
        ("{{ concat \"a\" }}", "Cannot concat type string as list"),
        ("{{ repeat -1 \"a\" }}", "strings: negative Repeat count"),
        ("{{ .Values.s 1 | x }}", "function \"x\" not defined"),
    ] {
        fails(text, expect);
    }
}

/// covers: HE-068
#[test]
fn malformed_templates_are_refused() {
    for (text, expect) in [
        (
            "{{ \"a\" | \"b\" }}",
            "template: t:1: non executable command in pipeline stage 2",
        ),
        ("{{ $y }}", "undefined variable \"$y\""),
        ("{{ nope }}", "function \"nope\" not defined"),
        ("{{ env \"A\" }}", "function \"env\" not defined"),
        ("{{ if true }}", "unexpected EOF"),
        ("{{ end }}", "unexpected {{end}}"),
        ("a\n{{ else }}", "template: t:2: unexpected {{else}}"),
        ("{{ if }}{{ end }}", "missing value for if"),
        ("{{ /* c */ }}", "unexpected \"/\" in command"),
        ("{{/* c", "unclosed comment"),
        ("{{/* c */ }}", "comment ends before closing delimiter"),
        ("{{ \"a }}", "unterminated quoted string"),
        ("{{ `a }}", "unterminated raw quoted string"),
        ("{{ 'a }}", "unterminated character constant"),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("{{ 1", "unclosed action"),
        ("{{ (1 }}", "unclosed left paren"),
        ("{{ 1) }}", "unexpected right paren"),
        ("{{ \"a\".b }}", "unexpected . after term \"\\\"a\\\"\""),
        (
            "{{ range $a, $b, $c := .x }}{{ end }}",
            "too many declarations in range",
        ),
        ("{{ 1a }}", "bad number syntax: \"1a\""),
        ("{{ a@b }}", "bad character U+0040 '@'"),
        (
            "{{ 99999999999999999999 }}",
            "integer overflow: \"99999999999999999999\"",
        ),
        ("{{ template . }}", "unexpected <.> in template clause"),
        (
            "{{ define \"a\" }}x{{ end }}{{ define \"a\" }}y{{ end }}",
            "multiple definition of template \"a\"",
        ),
        (
            "{{ if true }}{{ else }}{{ else }}{{ end }}",
            "expected end; found {{else}}",
        ),
    ] {
        fails(text, expect);
    }
}

/// covers: HE-072, HE-073, HE-074, HE-076, HE-077, HE-078
#[test]
fn strings_follow_sprig() {
    for (text, expect) in [
        (
            "{{ abbrev 6 \"hello world\" }} {{ abbrev 4 \"hello\" }}",
            "hel... h...",
        ),
        ("{{ abbrevboth 5 10 \"1234 5678 9123\" }}", "...5678..."),
        (
            "{{ wrapWith 5 \"|\" \"aaa bbb cccccccc\" }}",
            "aaa|bbb|ccccc|ccc",
        ),
        (
            "{{ snakecase \"Bld4Floor3rd\" }} {{ snakecase \"FirstName HTTPServer-x 12ab\" }}",
            "bld4_floor_3rd first_name_http_server_x_12ab",
        ),
        (
            "{{ snakecase \"HTTP20xOK\" }} {{ snakecase \"APIVersion\" }} {{ kebabcase \"foo.Bar/baz\" }}",
            "http_20x_ok api_version foo.bar/baz",
        ),
        (
            "{{ camelcase \"http_server-x y\" }} {{ camelcase \"FOO_BAR\" }} {{ camelcase \"fooBAR\" }} {{ camelcase \"_foo__bar\" }}",
            "HttpServerXY FooBar FooBAR _Foo_Bar",
        ),
        (
            "{{ initials \"First Try\" }} {{ trunc -3 \"hello\" }} {{ substr 2 -1 \"hello\" }}",
            "FT llo llo",
        ),
        (
            "{{ quote 1 \"a\" nil true }}|{{ quote nil }}|{{ squote \"it's\" }}",
            "\"1\" \"a\" \"true\"||'it's'",
        ),
        ("{{ quote \"a\\x01☃\" }}", "\"a\\x01☃\""),
        ("{{ cat \"a\" nil 1 true }}|{{ cat \"\" }}", "a 1 true|"),
        (
            "{{ join \",\" (list 1 nil \"a\") }} {{ replace \"\" \"-\" \"ab\" }}",
            "1,a -a-b-",
        ),
        (
            "{{ b64enc \"hi\" }} {{ b64dec \"!!\" }} {{ b32enc \"hi\" }} {{ b32dec \"NBUQ====\" }}",
            "aGk= illegal base64 data at input byte 0 NBUQ==== hi",
        ),
        (
            "{{ indent 2 \"a\\n\\nb\" }}|{{ nindent 1 \"x\" }}",
            "  a\n  \n  b|\n x",
        ),
        (
            "{{ splitList \",\" \"\" | len }} {{ splitList \"\" \"abc\" }} {{ (split \"$\" \"a$b\")._1 }}",
            "1 [a b c] b",
        ),
        (
            "{{ title \"foo-bar o'neil\" }} {{ untitle \"Foo Bar\" }} {{ swapcase \"aB cD\" }}",
            "Foo-Bar O'Neil foo bar Ab Cd",
        ),
        (
            "{{ plural \"one\" \"many\" 1 }} {{ trimAll \"$\" \"$5$\" }} {{ trimSuffix \"-\" \"a--\" }}",
            "one 5 a-",
        ),
        (
            "{{ toString 1e6 }} {{ toStrings (list 1 nil 2.5) }}",
            "1e+06 [1 2.5]",
        ),
    ] {
        check(text, expect);
    }
}

/// covers: HE-009, HE-010, HE-011, HE-012, HE-079, HE-080, HE-085, HE-086, HE-087, HE-161
#[test]
fn collections_and_numbers_follow_sprig() {
    for (text, expect) in [
        (
            "{{ add 1 2.9 \"3\" }} {{ div 7 2 }} {{ round 3.14159 2 }} {{ round -1.5 0 }} {{ ceil \"3.1\" }}",
            "6 3 3.14 -2 4",
        ),
        (
            "{{ max 1 2.9 \"5\" }} {{ int \"1_0\" }} {{ int \"0x10\" }} {{ int \"12abc\" }} {{ float64 \"1e3\" }} {{ toDecimal \"0777\" }}",
            "5 10 16 0 1000 511",
        ),
        (
            "{{ int \"010\" }} {{ int \"08\" }} {{ int \"1.9\" }} {{ int \"1.0\" }} {{ int \" 5\" }} {{ atoi \"1.0\" }}",
            "8 0 0 1 0 0",
        ),
        (
            "{{ seq 0 2 10 }}|{{ seq -1 }}|{{ seq 3 }}|{{ untilStep 0 10 3 }}",
            "0 2 4 6 8 10|1 0 -1|1 2 3|[0 3 6 9]",
        ),
        (
            "{{ divf 10 3 }} {{ addf 0.1 0.2 }} {{ subf 1 0.9 }} {{ mulf 1.1 1.1 }}",
            "3.3333333333333335 0.3 0.1 1.21",
        ),
        (
            "{{ merge (dict \"a\" false) (dict \"a\" true) }}",
            "map[a:true]",
        ),
        (
            "{{ mergeOverwrite (dict \"a\" true) (dict \"a\" false) }} {{ mergeOverwrite (dict \"a\" true) (dict \"a\" nil) }}",
            "map[a:false] map[a:<nil>]",
        ),
        (
            "{{ merge (dict \"m\" (dict \"x\" 1)) (dict \"m\" (dict \"x\" 2 \"y\" 3) \"z\" 4) }}",
            "map[m:map[x:1 y:3] z:4]",
        ),
        (
            "{{ $d := dict \"a\" 1 }}{{ $_ := merge $d (dict \"b\" 2) }}{{ $d }}",
            "map[a:1 b:2]",
        ),
        (
            "{{ keys (dict \"b\" 1 \"a\" 2) | sortAlpha }} {{ values (dict \"b\" 1 \"a\" 2) }}",
            "[a b] [2 1]",
        ),
        (
            "{{ dict \"a\" }} {{ pick (dict \"a\" 1 \"b\" 2) \"a\" }} {{ omit (dict \"a\" 1 \"b\" 2) \"a\" }}",
            "map[a:] map[a:1] map[b:2]",
        ),
        (
            "{{ dig \"a\" \"b\" \"d\" (dict \"a\" (dict \"b\" 1)) }} {{ dig \"x\" \"d\" (dict) }}",
            "1 d",
        ),
        (
            "{{ rest (list 1 2) }} {{ initial (list 1 2) }} {{ rest (list) }} {{ first (list) }}",
            "[2] [1] [] <no value>",
        ),
        (
            "{{ slice (list 1 2 3) 1 2 }} {{ uniq (list 1 1 2) }} {{ without (list 1 2 3) 2 }} {{ chunk 2 (list 1 2 3) }}",
            "[2] [1 2] [1 3] [[1 2] [3]]",
        ),
        (
            "{{ default 5 0 }} {{ default 5 \"x\" }} {{ coalesce 0 \"\" \"c\" }} {{ coalesce 0 }}",
            "5 x c <no value>",
        ),
        (
            "{{ kindOf .Values.l }} {{ typeOf .Values.m }} {{ kindOf nil }} {{ typeIsLike \"*semver.Version\" (semver \"1.2\") }}",
            "slice map[string]interface {} invalid true",
        ),
        (
            "{{ toJson (dict \"a\" \"<&>\" \"b\" (list) \"c\" (rest (list))) }}",
            r#"{"a":"\u003c\u0026\u003e","b":[],"c":null}"#,
        ),
        (
            "{{ toRawJson (dict \"a\" \"<\") }} {{ toPrettyJson (dict \"a\" 1) }}",
            "{\"a\":\"<\"} {\n  \"a\": 1\n}",
        ),
        (
            "{{ toJson 1e21 }} {{ toJson 1e-7 }} {{ toJson .Values.big }}",
            "1e+21 1e-7 1000000",
        ),
        ("{{ (mustFromJson \"{\\\"a\\\":[1]}\").a }}", "[1]"),
    ] {
        check(text, expect);
    }
    fails(
        "{{ mustFromJson \"{\" }}",
        "error calling mustFromJson: unexpected end of JSON input",
    );
    fails(
        "{{ mustFromJson \"bad\" }}",
        "invalid character 'b' looking for beginning of value",
    );
}

/// covers: HE-081, HE-082, HE-083
#[test]
fn dates_expressions_and_paths_follow_sprig() {
    for (text, expect) in [
        (
            "{{ dateInZone \"2006-01-02T15:04:05Z07:00\" 0 \"UTC\" }}",
            "1970-01-01T00:00:00Z",
        ),
        (
            "{{ date \"Jan 2, 2006 at 3:04pm (MST)\" 1700000000 }}",
            "Nov 14, 2023 at 10:13pm (UTC)",
        ),
        (
            "{{ toDate \"2006-01-02\" \"bad\" }}",
            "0001-01-01 00:00:00 +0000 UTC",
        ),
        (
            "{{ date \"2006\" \"x\" }} {{ date \"2006\" 1.5 }}",
            "2023 2023",
        ),
        ("{{ duration 95 }} {{ duration \"95\" }}", "0s 1m35s"),
        (
            "{{ durationRound \"2h10m5s\" }} {{ durationRound \"2400h10m5s\" }} {{ durationRound \"9000h\" }} {{ durationRound \"400h\" }} {{ durationRound \"1h\" }} {{ durationRound \"1s\" }}",
            "2h 3mo 1y 16d 60m 0s",
        ),
        (
            "{{ regexMatch \"(\" \"a\" }} {{ regexReplaceAll \"a(x*)b\" \"-ab-axxb-\" \"${1}W\" }} {{ regexSplit \"z+\" \"pizza\" -1 }}",
            "false -W-xxW- [pi a]",
        ),
        (
            "{{ sha256sum \"hello\" }}",
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        ),
        (
            "{{ sha1sum \"a\" }} {{ adler32sum \"a\" }}",
            "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8 6422626",
        ),
        (
            "{{ urlParse \"http://admin:secret@server.com:8080/api?list=false#anchor\" }}",
            "map[fragment:anchor host:server.com:8080 hostname:server.com opaque: path:/api query:list=false scheme:http userinfo:admin:secret]",
        ),
        (
            "{{ urlJoin (dict \"scheme\" \"http\" \"host\" \"h:1\" \"path\" \"/p q\" \"query\" \"a=b\") }}",
            "http://h:1/p%20q?a=b",
        ),
        (
            "{{ (semver \"v1.2\").Original }} {{ semver \"v1.2\" }} {{ semverCompare \"^1.2.0\" \"1.2.3\" }}",
            "v1.2 1.2.0 true",
        ),
        (
            "{{ (semver \"1.2.3\").Major }} {{ base \"a/b.c\" }} {{ ext \"a.b\" }} {{ dir \"a/b\" }} {{ clean \"a//b\" }}",
            "1 b.c .b a a/b",
        ),
    ] {
        check(text, expect);
    }
}

/// covers: HE-173, HE-175
#[test]
fn budgets_stop_runaway_templates() {
    let limits = Limits {
        steps: 10_000,
        output_bytes: 10_000,
        depth: 20,
    };
    for (text, expect) in [
        (
            "{{ range until 1000000000 }}{{ end }}",
            "more than 10000 bytes",
        ),
        ("{{ range 1000000000 }}{{ end }}", "more than 10000 steps"),
        ("{{ repeat 100000000 \"abc\" }}", "more than 10000 bytes"),
        ("{{ indent 100000000 \"abc\" }}", "more than 10000 bytes"),
        (
            "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
            "exceeded maximum template depth (20)",
        ),
    ] {
        let now = go::time::Time::from_unix(0, 0);
        let shared = Shared::new(Functions::sprig(), now, Random::from_seed([0; 32]), limits);
        let mut set = Templates::new("gotpl");
        set.parse("t", text, &shared).unwrap();
        let error = Rc::new(set)
            .execute("t", Value::Nil, &shared)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expect), "{text}: {error}");
    }
}

#[test]
fn a_map_inside_itself_ends() {
    let out = render("{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ len (toJson $d) }}").unwrap();
    assert_eq!(out, "0");
}

#[test]
fn passwords_follow_sprig() {
    check(
        "{{ derivePassword 1 \"long\" \"password\" \"user\" \"example.com\" }}",
        "ZedaFaxcZaso9*",
    );
    check(
        "{{ derivePassword 1 \"x\" \"p\" \"u\" \"s\" }}",
        "cannot find password template x",
    );
    check("{{ htpasswd \"a:b\" \"p\" }}", "invalid username: a:b");
    check(
        "{{ encryptAES \"key\" \"text\" | decryptAES \"key\" }}|{{ encryptAES \"k\" \"\" }}",
        "text|",
    );
    let hash = render("{{ htpasswd \"u\" \"secret\" }}").unwrap_or_default();
    let verified = hash.strip_prefix("u:").map(|h| bcrypt::verify("secret", h));
    assert!(matches!(verified, Some(Ok(true))), "{hash}");
    assert!(hash.starts_with("u:$2a$10$"), "{hash}");
}

/// covers: HE-089
#[test]
fn keys_and_certificates_come_from_the_seed() {
    let text = "{{ $k := genPrivateKey \"ecdsa\" }}{{ $ca := genCAWithKey \"ca\" 10 $k }}{{ $c := genSignedCertWithKey \"leaf\" (list \"10.0.0.1\") (list \"a.b\") 5 $ca (genPrivateKey \"ed25519\") }}{{ $ca.Cert }}{{ $c.Cert }}{{ $c.Key }}";
    let first = render(text);
    assert_eq!(first, render(text), "the same seed gives the same keys");
    let text = first.unwrap_or_default();
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2, "{text}");
    assert!(text.contains("-----BEGIN PRIVATE KEY-----"), "{text}");
    check("{{ genPrivateKey \"x\" }}", "Unknown type x");
    fails(
        "{{ genSelfSignedCertWithKey \"a\" (list \"x\") nil 1 (genPrivateKey \"ecdsa\") }}",
        "error parsing ip: x",
    );
    fails(
        "{{ genCAWithKey \"a\" 1 \"nope\" }}",
        "parsing private key: no PEM data in input",
    );
    check(
        "{{ len (uuidv4) }} {{ len (randAlphaNum 12) }} {{ regexMatch \"^[0-9]{5}$\" (randNumeric 5) }}",
        "36 12 true",
    );
}
