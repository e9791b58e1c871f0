// Command registry serves an OCI registry with the referrers API from memory, for tests.
//
//	registry -address 127.0.0.1:5000 [-open ADDRESS] [-user NAME -password TEXT] [-cert FILE -key FILE [-client-ca FILE]]
//	         [-page N]
//
// With -user it asks for basic authentication. With -page it never lists more than N tags at a time and says in a Link
// header where to go on, as registries of the distribution specification do. At the address of -open the same content is
// served without TLS and authentication, and requests are not counted: there tests put in what the registry is to hold.
package main

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

var (
	address  = flag.String("address", "127.0.0.1:0", "where to listen")
	open     = flag.String("open", "", "where to serve the same without TLS and authentication")
	user     = flag.String("user", "", "the user's name; empty: no authentication")
	password = flag.String("password", "", "the user's password")
	cert     = flag.String("cert", "", "the server's certificate, PEM; empty: plain HTTP")
	key      = flag.String("key", "", "the key of the certificate, PEM")
	clientCA = flag.String("client-ca", "", "only clients with a certificate of this authority are served")
	page     = flag.Int("page", 0, "tags in one answer; 0: all")
)

func main() {
	flag.Parse()
	quiet := log.New(io.Discard, "", 0)
	handler := registry.New(registry.Logger(quiet), registry.WithReferrersSupport(true))
	server := &http.Server{
		Addr:              *address,
		Handler:           logged(authenticated(paged(handler))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	if *open != "" {
		beside := &http.Server{Addr: *open, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go func() { log.Fatal(beside.ListenAndServe()) }()
	}
	if *cert == "" {
		log.Fatal(server.ListenAndServe())
	}
	if *clientCA != "" {
		pem, err := os.ReadFile(*clientCA)
		if err != nil {
			log.Fatal(err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			log.Fatalf("%s holds no certificate", *clientCA)
		}
		server.TLSConfig = &tls.Config{ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	}
	log.Fatal(server.ListenAndServeTLS(*cert, *key))
}

// logged prints a line for each request: tests count them.
func logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("request", r.Method, r.URL.RequestURI())
		next.ServeHTTP(w, r)
	})
}

func authenticated(next http.Handler) http.Handler {
	if *user == "" {
		return next
	}
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, word, ok := r.BasicAuth()
		if ok && same(name, *user) && same(word, *password) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	})
}

// paged cuts lists of tags into pages.
func paged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if *page <= 0 || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/tags/list") {
			next.ServeHTTP(w, r)
			return
		}
		query := r.URL.Query()
		whole := r.Clone(r.Context())
		whole.URL.RawQuery = ""
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, whole)
		var list struct {
			Name string   `json:"name"`
			Tags []string `json:"tags"`
		}
		if answer.Code != http.StatusOK || json.Unmarshal(answer.Body.Bytes(), &list) != nil {
			w.WriteHeader(answer.Code)
			w.Write(answer.Body.Bytes())
			return
		}
		slices.Sort(list.Tags)
		if last := query.Get("last"); last != "" {
			at, found := slices.BinarySearch(list.Tags, last)
			if found {
				at++
			}
			list.Tags = list.Tags[at:]
		}
		size := *page
		if asked, err := strconv.Atoi(query.Get("n")); err == nil && asked > 0 && asked < size {
			size = asked
		}
		if len(list.Tags) > size {
			list.Tags = list.Tags[:size]
			next := url.Values{"n": {strconv.Itoa(size)}, "last": {list.Tags[size-1]}}
			w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=\"next\"", r.URL.Path, next.Encode()))
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(list)
	})
}
