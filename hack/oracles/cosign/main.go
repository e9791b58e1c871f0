// Command cosign signs an image manifest in every way that lockgate-signature verifies, asks upstream's own verifier
// what it thinks of each, and writes what came of it as golden files.
//
// Signatures by key are made by cosign's own sign command against a registry in this process. Signatures without keys
// need an authority, logs and a clock that can be trusted: a private set of them is made here, and forgotten.
//
//	go run . ../../../crates/net/signature/tests/golden/cosign
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	layers "github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/sigstore/cosign/v3/cmd/cosign/cli/options"
	"github.com/sigstore/cosign/v3/cmd/cosign/cli/sign"
	"github.com/sigstore/cosign/v3/pkg/cosign"
	"github.com/sigstore/cosign/v3/pkg/oci/static"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

const (
	identity = "ada@example.test"
	issuer   = "https://accounts.example.test"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

var folder string

func write(file string, data []byte) {
	path := filepath.Join(folder, file)
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	check(os.WriteFile(path, data, 0o644))
}

// A layer of the image that the classic tag names: its bytes and its annotations.
type layer struct {
	Payload     string            `json:"payload"`
	Annotations map[string]string `json:"annotations"`
}

func writeJSON(file string, value any) {
	write(file, append(must(json.MarshalIndent(value, "", "  ")), '\n'))
}

func main() {
	folder = os.Args[1]
	ctx := context.Background()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	reference := must(name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/org/app:v1"))
	image := chart()
	check(remote.Write(reference, image))
	manifest := must(image.RawManifest())
	digest := must(image.Digest())
	write("manifest.json", manifest)

	byKey(ctx, reference, digest)

	private := newAuthority()
	write("trusted_root.json", private.trustedRoot())
	write("other_root.json", newAuthority().trustedRoot())
	trusted := must(root.NewTrustedRootFromJSON(private.trustedRoot()))
	keyless(ctx, private, trusted, digest, manifest)
	public()
}

// public takes over a signature that the public instance vouches for: the provenance of sigstore's npm package.
func public() {
	module := must(exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output())
	write("public/provenance.bundle.json", must(os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "examples", "bundle-provenance.json"))))
}

// chart returns the image of a Helm chart, and writes its blobs.
func chart() v1.Image {
	const metadata = "apiVersion: v2\nname: app\nversion: 1.0.0\n"
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	files := tar.NewWriter(zipped)
	for _, each := range [][2]string{{"app/Chart.yaml", metadata}, {"app/templates/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n"}} {
		check(files.WriteHeader(&tar.Header{Name: each[0], Mode: 0o644, Size: int64(len(each[1]))}))
		must(files.Write([]byte(each[1])))
	}
	check(files.Close())
	check(zipped.Close())
	const configType, layerType = "application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, "application/vnd.oci.image.manifest.v1+json"), configType)
	image = must(mutate.AppendLayers(image, layers.NewLayer(archive.Bytes(), layerType)))
	write("layer.tgz", archive.Bytes())
	write("config.json", must(image.RawConfigFile()))
	return image
}

// byKey runs cosign's sign command with a key of each kind, in both forms.
func byKey(ctx context.Context, reference name.Reference, digest v1.Hash) {
	work := must(os.MkdirTemp("", "keys"))
	defer os.RemoveAll(work)
	pass := func(bool) ([]byte, error) { return []byte("x"), nil }
	// Upstream reads every key as one that signs over SHA-256, or by Ed25519 over the message itself; cosign signs over the
	// digest of the key's size, and by Ed25519 over a digest.
	for _, each := range []struct {
		kind            string
		details         commonv1.PublicKeyDetails
		classic, bundle bool
	}{
		{"p256", commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, true, true},
		{"p384", commonv1.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384, false, false},
		{"rsa", commonv1.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256, true, true},
		{"ed25519", commonv1.PublicKeyDetails_PKIX_ED25519, false, false},
	} {
		kind := each.kind
		algorithm := must(signature.GetAlgorithmDetails(each.details))
		keys := must(cosign.GenerateKeyPairWithAlgorithm(&algorithm, pass))
		path := filepath.Join(work, kind+".key")
		check(os.WriteFile(path, keys.PrivateBytes, 0o600))
		write("keyed/"+kind+".pub", keys.PublicBytes)
		public := must(cryptoutils.UnmarshalPEMToPublicKey(keys.PublicBytes))
		verifier := must(signature.LoadVerifier(public, crypto.SHA256))
		at := reference.Context().Digest(digest.String())
		for _, form := range []string{"classic", "bundle"} {
			// One repository per signature: what is found there is what was just written.
			repository := must(name.NewRepository(fmt.Sprintf("%s/%s/%s", reference.Context().RegistryStr(), kind, form)))
			target := repository.Digest(digest.String())
			check(remote.Write(target, must(remote.Image(at))))
			options_ := options.SignOptions{Upload: true, NewBundleFormat: form == "bundle", SkipConfirmation: true}
			options_.Registry.AllowHTTPRegistry = true
			check(sign.SignCmd(ctx, &options.RootOptions{Timeout: time.Minute},
				options.KeyOpts{KeyRef: path, PassFunc: pass, SkipConfirmation: true, NewBundleFormat: form == "bundle"}, options_, []string{target.String()}))
			checks := &cosign.CheckOpts{SigVerifier: verifier, IgnoreTlog: true, Offline: true, NewBundleFormat: form == "bundle"}
			if form == "classic" {
				tag := repository.Tag(strings.ReplaceAll(digest.String(), ":", "-") + ".sig")
				signed := must(remote.Image(tag))
				found := must(signed.Manifest()).Layers[0]
				content := must(must(signed.LayerByDigest(found.Digest)).Uncompressed())
				var payload bytes.Buffer
				must(payload.ReadFrom(content))
				writeJSON("keyed/"+kind+".json", layer{payload.String(), found.Annotations})
				_, _, err := cosign.VerifyImageSignatures(ctx, target, checks)
				report("keyed/"+kind+".json", err, each.classic)
				continue
			}
			bundles, _, err := cosign.GetBundles(ctx, target, nil)
			check(err)
			write("keyed/"+kind+".bundle.json", must(bundles[0].MarshalJSON()))
			_, _, err = cosign.VerifyImageAttestations(ctx, target, checks)
			report("keyed/"+kind+".bundle.json", err, each.bundle)
		}
	}
}

// report panics where upstream does not think what it is known to.
func report(file string, err error, good bool) {
	fmt.Printf("%-45s %v\n", file, err)
	if (err == nil) != good {
		panic(file + " is not what it should be")
	}
}

func keyless(ctx context.Context, a *authority, trusted root.TrustedMaterial, digest v1.Hash, manifest []byte) {
	identities := []cosign.Identity{{IssuerRegExp: "^" + issuer + "$", SubjectRegExp: "^ada@.*$"}}
	policy := verify.WithArtifactDigest(digest.Algorithm, must(hex.DecodeString(digest.Hex)))
	for _, each := range []struct {
		file        string
		version     int // of the log
		late, noSCT bool
		message     bool
		good        bool
	}{
		{file: "v1", version: 1, good: true},
		{file: "v2", version: 2, good: true},
		{file: "late-v1", version: 1, late: true},
		{file: "late-v2", version: 2, late: true},
		{file: "no-sct", version: 1, noSCT: true},
		{file: "message-v1", version: 1, message: true, good: true},
		{file: "message-v2", version: 2, message: true, good: true},
	} {
		made := a.bundle(each.version, each.late, each.noSCT, each.message, digest, manifest)
		data := must(protojson.Marshal(made))
		var compact bytes.Buffer
		check(json.Compact(&compact, data))
		write("keyless/"+each.file+".bundle.json", compact.Bytes())
		parsed, err := bundle.NewBundle(made)
		if err == nil {
			checks := &cosign.CheckOpts{TrustedMaterial: trusted, Identities: identities, NewBundleFormat: true}
			_, err = cosign.VerifyNewBundle(ctx, checks, policy, parsed)
		}
		report("keyless/"+each.file+".bundle.json", err, each.good)
	}
	for _, each := range []struct {
		file              string
		late, noSCT, good bool
	}{
		{file: "good", good: true},
		{file: "late", late: true},
		{file: "no-sct", noSCT: true},
	} {
		payload := fmt.Sprintf(`{"critical":{"identity":{"docker-reference":"registry.example.test/org/app"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}`, digest)
		made := a.classic(payload, each.late, each.noSCT)
		writeJSON("keyless/"+each.file+".json", made)
		sig := must(static.NewSignature([]byte(payload), made.Annotations["dev.cosignproject.cosign/signature"],
			static.WithCertChain([]byte(made.Annotations["dev.sigstore.cosign/certificate"]), []byte(made.Annotations["dev.sigstore.cosign/chain"])),
			static.WithBundle(a.parsedBundle(made.Annotations["dev.sigstore.cosign/bundle"]))))
		checks := &cosign.CheckOpts{TrustedMaterial: trusted, Identities: identities}
		_, err := cosign.VerifyImageSignature(ctx, sig, digest, checks)
		report("keyless/"+each.file+".json", err, each.good)
	}
}

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func sum(data []byte) []byte {
	digest := sha256.Sum256(data)
	return digest[:]
}
