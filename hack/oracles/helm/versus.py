#!/usr/bin/env python3
"""Runs `helm template` and `lockgate template` on the same charts, in turns.

versus.py HELM LOCKGATE [ROUNDS] prints the median wall time and the peak memory of both for each
chart. The charts are made in a temporary folder: a small one, one of 100 templates, one with 15
subcharts and 10,000 lines of values, and one with 3 MB of definitions.
"""

import os
import statistics
import sys
import tempfile
import time

HELPERS = """{{- define "NAME.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- define "NAME.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
"""

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "NAME.fullname" . }}-INDEX
  labels:
    {{- include "NAME.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas | default 1 }}
  selector:
    matchLabels:
      {{- include "NAME.labels" . | nindent 6 }}
  template:
    metadata:
      annotations:
        checksum/values: {{ .Values | toJson | sha256sum }}
      labels:
        {{- include "NAME.labels" . | nindent 8 }}
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          env:
            {{- range $name, $value := .Values.env }}
            - name: {{ $name | upper | quote }}
              value: {{ $value | quote }}
            {{- end }}
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
{{- if .Values.service.enabled }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "NAME.fullname" . }}-INDEX
spec:
  ports:
    {{- range .Values.service.ports }}
    - port: {{ . | int }}
    {{- end }}
{{- end }}
"""

VALUES = """replicas: 2
image: {repository: example.com/app, tag: "1.2.3"}
labels: {team: platform, tier: backend}
env: {log_level: info, region: eu, cache_size: 1000000}
resources:
  limits: {cpu: 500m, memory: 256Mi}
  requests: {cpu: 100m, memory: 128Mi}
service: {enabled: true, ports: [80, 443]}
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def chart(folder, name, templates, more_values="", dependencies=""):
    metadata = f"apiVersion: v2\nname: {name}\nversion: 1.0.0\nappVersion: '1.0'\n{dependencies}"
    write(f"{folder}/Chart.yaml", metadata)
    write(f"{folder}/values.yaml", VALUES + more_values)
    write(f"{folder}/templates/_helpers.tpl", HELPERS.replace("NAME", name))
    for index in range(templates):
        text = DEPLOYMENT.replace("NAME", name).replace("INDEX", str(index))
        write(f"{folder}/templates/deployment-{index}.yaml", text)


def lines(count, indent=""):
    groups = []
    for group in range(count // 10):
        groups.append(f"{indent}group{group}:")
        groups += [f"{indent}  key{key}: value {key} of group {group}" for key in range(9)]
    return "\n".join(groups) + "\n"


def definitions(megabytes):
    kinds = []
    size = 0
    while size < megabytes * 1_000_000:
        number = len(kinds)
        fields = "".join(
            f"                field{i}:\n                  type: string\n"
            f"                  description: The field of number {i}, which says what it is for.\n"
            for i in range(600)
        )
        kinds.append(
            f"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n"
            f"  name: kinds{number}.example.com\nspec:\n  group: example.com\n  versions:\n"
            f"    - name: v1\n      schema:\n        openAPIV3Schema:\n          type: object\n"
            f"          properties:\n            spec:\n              properties:\n{fields}"
        )
        size += len(kinds[-1])
    return kinds


def make(root):
    chart(f"{root}/small", "small", 3)
    chart(f"{root}/hundred", "hundred", 100)
    names = [f"part{i}" for i in range(15)]
    wanted = "dependencies:\n" + "".join(f"- {{name: {n}, version: 1.x}}\n" for n in names)
    chart(f"{root}/parts", "parts", 5, lines(10_000), wanted)
    for name in names:
        chart(f"{root}/parts/charts/{name}", name, 5)
    chart(f"{root}/definitions", "definitions", 1)
    for number, text in enumerate(definitions(3)):
        write(f"{root}/definitions/templates/crd-{number}.yaml", text)
    return ["small", "hundred", "parts", "definitions"]


def run(program, folder):
    begun = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(program, [program, "template", "rel", folder])
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"{program} fails on {folder}")
    return time.perf_counter() - begun, usage.ru_maxrss, usage.ru_utime + usage.ru_stime


def main():
    helm, lockgate = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 11
    with tempfile.TemporaryDirectory() as root:
        for name in make(root):
            results = {helm: [], lockgate: []}
            for _ in range(rounds):
                for program in (helm, lockgate):
                    results[program].append(run(program, f"{root}/{name}"))
            (a, b), (c, d), (e, f) = (
                tuple(statistics.median(r[i] for r in results[p]) for p in (helm, lockgate))
                for i in range(3)
            )
            print(
                f"{name:12} wall {a * 1000:7.1f} ms / {b * 1000:6.1f} ms = {a / b:5.1f} times;"
                f" cpu {e * 1000:7.1f} ms / {f * 1000:6.1f} ms = {e / max(f, 1e-9):5.1f};"
                f" memory {c / 1024:5.1f} MiB / {d / 1024:5.1f} MiB = {c / d:4.1f} times"
            )


main()
