// Command kustomize-oracle builds many kustomizations in one process, with the same library and the
// same defaults as `kustomize build`, so that engines can be compared on thousands of cases.
//
// It reads one JSON object a line from stdin: {"files": {path: text}, "path": "...",
// "reorder": "none"|"legacy", "restrictor": "root-only"|"none"}, and writes one a line to stdout:
// {"yaml": "..."} or {"error": "..."}. With -record it writes what upstream makes of each case into
// the files of cases that are named.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

type request struct {
	Files      map[string]string `json:"files"`
	Path       string            `json:"path"`
	Reorder    string            `json:"reorder"`
	Restrictor string            `json:"restrictor"`
}

type answer struct {
	YAML  *string `json:"yaml,omitempty"`
	Error string  `json:"error,omitempty"`
}

func build(r request) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{Error: fmt.Sprintf("panic: %v", p)}
		}
	}()
	fs := filesys.MakeFsInMemory()
	for path, text := range r.Files {
		if strings.Contains(text, "openapi:") {
			// The library keeps a schema for the whole process: no case may see another's.
			openapi.ResetOpenAPI()
			defer openapi.ResetOpenAPI()
		}
		if err := fs.WriteFile(path, []byte(text)); err != nil {
			return answer{Error: err.Error()}
		}
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionNone
	if r.Reorder == "legacy" {
		options.Reorder = krusty.ReorderOptionLegacy
	}
	if r.Restrictor == "none" {
		options.LoadRestrictions = types.LoadRestrictionsNone
	}
	objects, err := krusty.MakeKustomizer(options).Run(fs, r.Path)
	if err != nil {
		return answer{Error: err.Error()}
	}
	text, err := objects.AsYaml()
	if err != nil {
		return answer{Error: err.Error()}
	}
	out := string(text)
	return answer{YAML: &out}
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "-record" {
		recordAll(os.Args[2:])
		return
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	lines := json.NewDecoder(in)
	for lines.More() {
		var r request
		if err := lines.Decode(&r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := out.Encode(build(r)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
