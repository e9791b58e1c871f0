// Command oracle renders charts with Helm's own engine, so that differential
// tests can compare. It reads one JSON request a line and writes one JSON
// answer a line: {"files": {path: text}, "values": yaml} gives
// {"out": {path: text}} or {"err": text}. With "release": true it goes through
// Helm's install action instead, and gives the manifest and the notes as
// "out", the record as "record", and the texts that Flux hashes as "config"
// and "observation".
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"

	goyaml "go.yaml.in/yaml/v2"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	kubefake "helm.sh/helm/v4/pkg/kube/fake"
	release "helm.sh/helm/v4/pkg/release/v1"
	"sigs.k8s.io/yaml"
)

type request struct {
	Files  map[string]string `json:"files"`
	Values string            `json:"values"`
	// Whether a release is wanted instead of rendered files.
	Release bool `json:"release"`
}

type answer struct {
	Out map[string]string `json:"out,omitempty"`
	Err string            `json:"err,omitempty"`

	Record      string `json:"record,omitempty"`
	Config      string `json:"config,omitempty"`
	Observation string `json:"observation,omitempty"`
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
	if r.Release {
		return install(c, vals)
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

// observation is what Flux keeps of a release to hash it.
type observation struct {
	Name          string         `json:"name"`
	Version       int            `json:"version"`
	Info          release.Info   `json:"info"`
	ChartMetadata v2.Metadata    `json:"chartMetadata"`
	Config        map[string]any `json:"config"`
	Manifest      string         `json:"manifest"`
	Hooks         []release.Hook `json:"hooks"`
	Namespace     string         `json:"namespace"`
	OCIDigest     string         `json:"ociDigest,omitempty"`
}

func install(c *v2.Chart, vals common.Values) answer {
	client := action.NewInstall(&action.Configuration{
		KubeClient:   &kubefake.PrintingKubeClient{Out: io.Discard},
		Capabilities: common.DefaultCapabilities,
	})
	client.DryRunStrategy = action.DryRunClient
	client.Replace = true
	client.ReleaseName = "rel"
	client.Namespace = "ns"
	done, err := client.Run(c, vals)
	if err != nil {
		return answer{Err: err.Error()}
	}
	rel, ok := done.(*release.Release)
	if !ok {
		return answer{Err: fmt.Sprintf("panic: a release of type %T", done)}
	}
	record, err := json.Marshal(rel)
	if err != nil {
		return answer{Err: "panic: " + err.Error()}
	}
	seen := observation{
		Name: rel.Name, Version: rel.Version, Info: *rel.Info, ChartMetadata: *rel.Chart.Metadata,
		Manifest: rel.Manifest, Namespace: rel.Namespace,
	}
	if len(rel.Config) > 0 {
		seen.Config = rel.Config
	}
	for _, hook := range rel.Hooks {
		if !slices.Contains(hook.Events, release.HookTest) {
			seen.Hooks = append(seen.Hooks, *hook)
		}
	}
	var observed, config bytes.Buffer
	if err := json.NewEncoder(&observed).Encode(seen); err != nil {
		return answer{Err: "panic: " + err.Error()}
	}
	if len(rel.Config) > 0 {
		ordered := yaml.JSONObjectToYAMLObject(rel.Config)
		order(ordered)
		if err := goyaml.NewEncoder(&config).Encode(ordered); err != nil {
			return answer{Err: "panic: " + err.Error()}
		}
	}
	out := map[string]string{"manifest": rel.Manifest, "notes": rel.Info.Notes}
	return answer{
		Out: out, Record: string(record), Config: config.String(), Observation: observed.String(),
	}
}

// order sorts keys by their bytes, at every level.
func order(value any) {
	switch value := value.(type) {
	case goyaml.MapSlice:
		slices.SortFunc(value, func(a, b goyaml.MapItem) int {
			return bytes.Compare([]byte(a.Key.(string)), []byte(b.Key.(string)))
		})
		for _, item := range value {
			order(item.Value)
		}
	case []any:
		for _, item := range value {
			order(item)
		}
	}
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
