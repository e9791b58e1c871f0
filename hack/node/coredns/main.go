// A CoreDNS with the few plugins that a cluster's own names need: the usual hundred of them bring the SDKs of every cloud.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

// The order in which plugins are asked.
func init() {
	dnsserver.Directives = []string{"bind", "health", "errors", "cache", "hosts", "kubernetes", "forward"}
}

func main() { coremain.Run() }
