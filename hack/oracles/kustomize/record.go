package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// record writes what upstream makes of each case of a file into it: the printed objects into the
// section `<<<`, an error into `<<< upstream error`. The other sections stay as they are.
func record(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var out strings.Builder
	for i, part := range strings.Split("\n"+string(text), "\n=== ") {
		if i == 0 {
			out.WriteString(strings.TrimPrefix(part, "\n"))
			continue
		}
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString("=== " + recordCase(strings.Trim(part, "\n")))
	}
	return os.WriteFile(path, []byte(out.String()), 0o644)
}

var escape = regexp.MustCompile(`\\(r|t|x[0-9A-F]{2})`)

func unescape(text string) string {
	return escape.ReplaceAllStringFunc(text, func(found string) string {
		switch found {
		case `\r`:
			return "\r"
		case `\t`:
			return "\t"
		}
		n, _ := strconv.ParseUint(found[2:], 16, 8)
		return string([]byte{byte(n)})
	})
}

func recordCase(text string) string {
	lines := strings.SplitAfter(text+"\n", "\n")
	r := request{Files: map[string]string{}, Path: "/app", Reorder: "none", Restrictor: "root-only"}
	var kept strings.Builder
	var section string
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, ">>> "), strings.HasPrefix(line, "<<<"):
			section = strings.TrimSpace(line)
		case strings.HasPrefix(line, "@ "):
			if strings.Contains(line, "legacy") {
				r.Reorder = "legacy"
			}
			if strings.Contains(line, "unrestricted") {
				r.Restrictor = "none"
			}
		case strings.HasPrefix(section, ">>> "):
			name, escaped := strings.CutSuffix(section[4:], " escaped")
			content := line
			if escaped {
				content = unescape(line)
			}
			r.Files["/"+name] += content
		}
		if section != "<<<" && section != "<<< upstream error" {
			kept.WriteString(line)
		}
	}
	out := strings.TrimRight(kept.String(), "\n") + "\n"
	a := build(r)
	if a.YAML == nil {
		return out + "<<< upstream error\n" + short(a.Error) + "\n"
	}
	return out + "<<<\n" + *a.YAML
}

// short cuts an error's text to one line.
func short(text string) string {
	text = string(bytes.ToValidUTF8([]byte(strings.ReplaceAll(text, "\n", " ")), nil))
	if len(text) > 300 {
		return text[:200] + " … " + text[len(text)-100:]
	}
	return text
}

func recordAll(paths []string) {
	for _, path := range paths {
		if err := record(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
