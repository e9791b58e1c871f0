// Command oracle renders charts with Helm's own engine, so that differential
// tests can compare. It reads one JSON request a line and writes one JSON
// answer a line: {"files": {path: text}, "values": yaml} gives
// {"out": {path: text}} or {"err": text}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
)

type request struct {
	Files  map[string]string `json:"files"`
	Values string            `json:"values"`
}

type answer struct {
	Out map[string]string `json:"out,omitempty"`
	Err string            `json:"err,omitempty"`
}

func render(r request) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{Err: fmt.Sprintf("panic: %v", p)}
		}
	}()
	names := make([]string, 0, len(r.Files))
	for name := range r.Files {
		names = append(names, name)
	}
	sort.Strings(names)
	var files []*archive.BufferedFile
	for _, name := range names {
		files = append(files, &archive.BufferedFile{Name: name, Data: []byte(r.Files[name])})
	}
	c, err := chartloader.LoadFiles(files)
	if err != nil {
		return answer{Err: "load: " + err.Error()}
	}
	vals, err := common.ReadValues([]byte(r.Values))
	if err != nil {
		return answer{Err: "values: " + err.Error()}
	}
	if err := chartutil.ProcessDependencies(c, vals); err != nil {
		return answer{Err: "dependencies: " + err.Error()}
	}
	top, err := util.ToRenderValues(c, vals, common.ReleaseOptions{Name: "rel", Namespace: "ns", Revision: 1, IsInstall: true}, common.DefaultCapabilities)
	if err != nil {
		return answer{Err: "render values: " + err.Error()}
	}
	out, err := engine.Render(c, top)
	if err != nil {
		return answer{Err: err.Error()}
	}
	return answer{Out: out}
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 1 {
			var r request
			a := answer{}
			if jerr := json.Unmarshal(line, &r); jerr != nil {
				a.Err = "request: " + jerr.Error()
			} else {
				a = render(r)
			}
			if oerr := out.Encode(a); oerr != nil {
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}
