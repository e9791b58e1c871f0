// Command pod is all that the pods of the check run besides the controllers: `pod pause` holds a sandbox, `pod serve` is the
// demo's shop, which answers on port 8080 with its greeting.
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getenv("message")) })
		go func() { panic(http.ListenAndServe(":8080", nil)) }()
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
}
