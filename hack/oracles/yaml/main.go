// Command yaml answers what Go's YAML libraries make of documents.
//
// It reads documents from standard input, each as four bytes of big-endian length and the bytes, or
// with -list one file name a line, and prints one JSON object a document: the input, the event tree
// and the value the v3 library reads, the JSON that sigs.k8s.io/yaml reads, and the prints of both
// emitters. It is the reference for crates/engines/yaml.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	v3 "go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"
)

// Answer is what the libraries say about one document; an *Error field is set instead of its twin.
type Answer struct {
	Name        string            `json:"name,omitempty"`
	Input       []byte            `json:"input,omitempty"`
	Tree        string            `json:"tree"`
	TreeError   string            `json:"treeError,omitempty"`
	Core        []json.RawMessage `json:"core"`
	CoreError   string            `json:"coreError,omitempty"`
	Legacy      json.RawMessage   `json:"legacy,omitempty"`
	LegacyError string            `json:"legacyError,omitempty"`
	StrictError string            `json:"strictError,omitempty"`
	V2          []string          `json:"v2"`
	V2Error     string            `json:"v2Error,omitempty"`
	V3          []string          `json:"v3"`
	V3Error     string            `json:"v3Error,omitempty"`
}

func main() {
	list := flag.Bool("list", false, "read file names, one a line, instead of framed documents")
	bare := flag.Bool("bare", false, "leave name and input out of the answers")
	flag.Parse()
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if *bare {
		encoder.SetIndent("", "  ")
	}
	next := framed
	if *list {
		next = listed
	}
	for {
		name, data, err := next(in)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		answer := ask(data)
		if !*bare {
			answer.Name, answer.Input = name, data
		}
		if err := encoder.Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, name, err)
		}
	}
}

func framed(in *bufio.Reader) (string, []byte, error) {
	var size uint32
	if err := binary.Read(in, binary.BigEndian, &size); err != nil {
		return "", nil, io.EOF
	}
	data := make([]byte, size)
	_, err := io.ReadFull(in, data)
	return "", data, err
}

func listed(in *bufio.Reader) (string, []byte, error) {
	line, err := in.ReadString('\n')
	name := strings.TrimSuffix(line, "\n")
	if name == "" {
		return "", nil, io.EOF
	}
	data, readErr := os.ReadFile(name)
	if readErr != nil && err == nil {
		return name, nil, readErr
	}
	return name, data, readErr
}

func ask(data []byte) *Answer {
	answer := &Answer{}
	answer.TreeError = guarded(func() error { return answer.readTrees(data) })
	answer.LegacyError = guarded(func() error {
		read, err := sigs.YAMLToJSON(data)
		answer.Legacy = read
		return err
	})
	answer.StrictError = guarded(func() error {
		_, err := sigs.YAMLToJSONStrict(data)
		return err
	})
	return answer
}

// guarded turns an error or a panic into text.
func guarded(do func() error) (text string) {
	defer func() {
		if caught := recover(); caught != nil {
			text = "panic: " + fmt.Sprint(caught)
		}
	}()
	if err := do(); err != nil {
		return err.Error()
	}
	return ""
}

func (a *Answer) readTrees(data []byte) error {
	var tree strings.Builder
	defer func() { a.Tree = tree.String() }()
	decoder := v3.NewDecoder(bytes.NewReader(data))
	for {
		var node v3.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		writeTree(&tree, &node)
		if a.CoreError == "" {
			a.CoreError = guarded(func() error { return a.readCore(&node) })
		}
	}
}

func (a *Answer) readCore(node *v3.Node) error {
	var value any
	if err := node.Decode(&value); err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	a.Core = append(a.Core, text)
	if a.V2Error == "" {
		a.V2Error = guarded(func() error {
			printed, err := sigs.JSONToYAML(text)
			a.V2 = append(a.V2, string(printed))
			return err
		})
	}
	if a.V3Error == "" {
		a.V3Error = guarded(func() error { return a.printV3(text) })
	}
	return nil
}

func (a *Answer) printV3(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := v3.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(plainNumbers(value)); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	a.V3 = append(a.V3, out.String())
	return nil
}

// plainNumbers replaces json.Number by the narrowest Go number.
func plainNumbers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, item := range value {
			value[key] = plainNumbers(item)
		}
	case []any:
		for at, item := range value {
			value[at] = plainNumbers(item)
		}
	case json.Number:
		if n, err := strconv.ParseInt(value.String(), 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(value.String(), 10, 64); err == nil {
			return n
		}
		f, _ := value.Float64()
		return f
	}
	return value
}

// writeTree prints a node and what it holds in one line: style, place, anchor, explicit tag, text.
func writeTree(out *strings.Builder, node *v3.Node) {
	if node.Kind == v3.DocumentNode {
		out.WriteString("D")
	} else {
		out.WriteString(letter(node))
		fmt.Fprintf(out, "%d:%d", node.Line, node.Column)
	}
	if node.Anchor != "" {
		fmt.Fprintf(out, "&%s", node.Anchor)
	}
	if node.Style&v3.TaggedStyle != 0 {
		fmt.Fprintf(out, "<%s>", node.LongTag())
	}
	switch node.Kind {
	case v3.AliasNode:
		fmt.Fprintf(out, "*%s", node.Value)
	case v3.ScalarNode:
		out.WriteString("=" + quote(node.Value))
	default:
		out.WriteString("(")
		for _, child := range node.Content {
			writeTree(out, child)
		}
		out.WriteString(")")
	}
	out.WriteString(" ")
}

// quote escapes what would make the tree's line ambiguous.
func quote(text string) string {
	return "\"" + strings.NewReplacer("\\", "\\\\", "\"", "\\\"", "\n", "\\n").Replace(text) + "\""
}

func letter(node *v3.Node) string {
	switch {
	case node.Kind == v3.MappingNode && node.Style&v3.FlowStyle != 0:
		return "m"
	case node.Kind == v3.MappingNode:
		return "M"
	case node.Kind == v3.SequenceNode && node.Style&v3.FlowStyle != 0:
		return "s"
	case node.Kind == v3.SequenceNode:
		return "S"
	case node.Kind == v3.AliasNode:
		return "A"
	case node.Style&v3.DoubleQuotedStyle != 0:
		return "\""
	case node.Style&v3.SingleQuotedStyle != 0:
		return "'"
	case node.Style&v3.LiteralStyle != 0:
		return "|"
	case node.Style&v3.FoldedStyle != 0:
		return ">"
	}
	return "P"
}
