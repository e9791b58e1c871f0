// Command image says what an ImagePolicy chooses, with the libraries that
// upstream uses for it: Masterminds' semver and Go's regexp. It reads one JSON
// request a line and writes one line for each: "= " and the tags that are the
// newest, of which there are several where they are equal, as a JSON list; or
// "! " and why there is none.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

type request struct {
	Tags    []string `json:"tags"`
	Pattern *string  `json:"pattern"`
	Extract string   `json:"extract"`
	Range   *string  `json:"range"`
	// "alphabetical" or "numerical", where there is no range.
	Rule       string `json:"rule"`
	Descending bool   `json:"descending"`
}

var (
	errPattern = errors.New("pattern")
	errRange   = errors.New("range")
	errEmpty   = errors.New("empty")
	errNone    = errors.New("none")
	errNumber  = errors.New("number")
)

// candidates maps what is compared to the tag that it stands for.
func candidates(r request) (map[string]string, error) {
	all := map[string]string{}
	if r.Pattern == nil {
		for _, tag := range r.Tags {
			all[tag] = tag
		}
		return all, nil
	}
	expression, err := regexp.Compile(*r.Pattern)
	if err != nil {
		return nil, errPattern
	}
	// The store gives the greatest first; of equal values the last one counts.
	tags := append([]string(nil), r.Tags...)
	sort.Sort(sort.Reverse(sort.StringSlice(tags)))
	for _, tag := range tags {
		match := expression.FindStringSubmatchIndex(tag)
		if match == nil {
			continue
		}
		value := tag
		if r.Extract != "" {
			value = string(expression.ExpandString(nil, r.Extract, tag, match))
		}
		all[value] = tag
	}
	return all, nil
}

// best collects the tags whose value no other one exceeds.
type best[V any] struct {
	value V
	tags  []string
}

func (b *best[V]) offer(tag string, value V, order int) {
	switch {
	case b.tags == nil || order > 0:
		b.value, b.tags = value, []string{tag}
	case order == 0:
		b.tags = append(b.tags, tag)
	}
}

func semantic(all map[string]string, text string) ([]string, error) {
	constraint, err := semver.NewConstraint(text)
	if err != nil {
		return nil, errRange
	}
	if len(all) == 0 {
		return nil, errEmpty
	}
	var found best[*semver.Version]
	for value, tag := range all {
		if strings.Count(value, ".") < 2 {
			continue
		}
		version, err := semver.NewVersion(value)
		if err != nil || !constraint.Check(version) {
			continue
		}
		order := 1
		if found.tags != nil {
			order = version.Compare(found.value)
		}
		found.offer(tag, version, order)
	}
	if found.tags == nil {
		return nil, errNone
	}
	return found.tags, nil
}

func ordered[V cmp.Ordered](all map[string]string, descending bool, parse func(string) (V, error)) ([]string, error) {
	if len(all) == 0 {
		return nil, errEmpty
	}
	var found best[V]
	for value, tag := range all {
		parsed, err := parse(value)
		if err != nil {
			return nil, errNumber
		}
		order := cmp.Compare(parsed, found.value)
		if descending {
			order = -order
		}
		found.offer(tag, parsed, order)
	}
	return found.tags, nil
}

func choose(r request) ([]string, error) {
	all, err := candidates(r)
	if err != nil {
		// A range that is none is told first.
		if r.Range != nil {
			if _, wrong := semver.NewConstraint(*r.Range); wrong != nil {
				return nil, errRange
			}
		}
		return nil, err
	}
	switch {
	case r.Range != nil:
		return semantic(all, *r.Range)
	case r.Rule == "numerical":
		return ordered(all, r.Descending, func(text string) (float64, error) {
			return strconv.ParseFloat(text, 64)
		})
	default:
		return ordered(all, r.Descending, func(text string) (string, error) {
			return text, nil
		})
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		tags, err := choose(r)
		if err != nil {
			fmt.Fprintln(out, "!", err)
			continue
		}
		sort.Strings(tags)
		text, _ := json.Marshal(tags)
		fmt.Fprintf(out, "= %s\n", text)
	}
}
