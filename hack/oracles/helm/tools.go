//go:build tools

package main

import (
	_ "github.com/Masterminds/sprig/v3"
	_ "helm.sh/helm/v4/cmd/helm"
)
