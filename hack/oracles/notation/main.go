// Command notation signs a descriptor in every way that lockgate-signature verifies, asks upstream's own verifier what
// it thinks of each, and writes what came of it as golden files.
//
//	go run . ../../../crates/net/signature/tests/golden/notation
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/notaryproject/notation-core-go/signature"
	_ "github.com/notaryproject/notation-core-go/signature/cose"
	_ "github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"github.com/notaryproject/tspclient-go"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
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
	check(os.MkdirAll(folder, 0o755))
	check(os.WriteFile(filepath.Join(folder, file), data, 0o644))
}

func certificatePEM(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

func serial() *big.Int { return must(rand.Int(rand.Reader, big.NewInt(1<<62))) }

func named(common string) pkix.Name {
	return pkix.Name{Country: []string{"DE"}, Province: []string{"Berlin"}, Organization: []string{"Example, Ltd"}, CommonName: common}
}

func issue(template, parent *x509.Certificate, public any, by crypto.Signer) *x509.Certificate {
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, public, by))))
}

func newCA(common string, start time.Time) (*x509.Certificate, crypto.Signer) {
	own := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: named(common), NotBefore: start, NotAfter: start.AddDate(30, 0, 0),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	return issue(template, template, own.Public(), own), own
}

// store is upstream's view of the Secret: every certificate is in every store.
type store []*x509.Certificate

func (s store) GetCertificates(context.Context, truststore.Type, string) ([]*x509.Certificate, error) {
	return s, nil
}

// clock is a timestamp authority.
type clock struct {
	leaf, root *x509.Certificate
	key        crypto.Signer
	at         time.Time
}

func (c *clock) Timestamp(_ context.Context, request *tspclient.Request) (*tspclient.Response, error) {
	stamp := timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, HashedMessage: request.MessageImprint.HashedMessage, Time: c.at, Nonce: request.Nonce,
		Policy: asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1}, AddTSACertificate: true, Certificates: []*x509.Certificate{c.root},
	}
	if oid := request.MessageImprint.HashAlgorithm.Algorithm; oid.Equal(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}) {
		stamp.HashAlgorithm = crypto.SHA384
	}
	raw, err := stamp.CreateResponseWithOpts(c.leaf, c.key, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	response := &tspclient.Response{}
	return response, response.UnmarshalBinary(raw)
}

func main() {
	folder = os.Args[1]
	start := time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Second)
	root, rootKey := newCA("root", start)
	other, _ := newCA("other", start)
	tsaRoot, tsaRootKey := newCA("clock", start)
	write("root.crt", certificatePEM(root))
	write("other.crt", certificatePEM(other))
	write("clock.crt", certificatePEM(tsaRoot))
	tsaKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	usage := must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))
	tsaLeaf := issue(&x509.Certificate{
		SerialNumber: serial(), Subject: named("clock 1"), NotBefore: start, NotAfter: start.AddDate(29, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}, tsaRoot, tsaKey.Public(), tsaRootKey)

	// What cosign signs is signed here as well.
	manifest := must(os.ReadFile(filepath.Join(folder, "..", "cosign", "manifest.json")))
	descriptor := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))}

	ec := func(curve elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(curve, rand.Reader)) }
	rsaKey := func(bits int) crypto.Signer { return must(rsa.GenerateKey(rand.Reader, bits)) }
	const jws, cose = "application/jose+json", "application/cose"
	for _, each := range []struct {
		file, form                                     string
		key                                            crypto.Signer
		expired, old, stamped, authority, self, plugin bool
		badUsage                                       bool
		good                                           bool
	}{
		{file: "p256.jws", form: jws, key: ec(elliptic.P256()), good: true},
		{file: "p384.jws", form: jws, key: ec(elliptic.P384()), good: true},
		{file: "p521.jws", form: jws, key: ec(elliptic.P521()), good: true},
		{file: "rsa2048.jws", form: jws, key: rsaKey(2048), good: true},
		{file: "rsa3072.jws", form: jws, key: rsaKey(3072), good: true},
		{file: "rsa4096.jws", form: jws, key: rsaKey(4096), good: true},
		{file: "p256.cose", form: cose, key: ec(elliptic.P256()), good: true},
		{file: "p384.cose", form: cose, key: ec(elliptic.P384()), good: true},
		{file: "p521.cose", form: cose, key: ec(elliptic.P521()), good: true},
		{file: "rsa2048.cose", form: cose, key: rsaKey(2048), good: true},
		{file: "expired.jws", form: jws, key: ec(elliptic.P256()), expired: true},
		{file: "expired.cose", form: cose, key: ec(elliptic.P256()), expired: true},
		{file: "old.jws", form: jws, key: ec(elliptic.P256()), old: true},
		{file: "old-stamped.jws", form: jws, key: ec(elliptic.P256()), old: true, stamped: true, good: true},
		{file: "old-stamped.cose", form: cose, key: ec(elliptic.P384()), old: true, stamped: true, good: true},
		{file: "authority.jws", form: jws, key: ec(elliptic.P256()), authority: true, old: true, good: true},
		{file: "authority.cose", form: cose, key: ec(elliptic.P256()), authority: true, old: true, good: true},
		{file: "plugin.jws", form: jws, key: ec(elliptic.P256()), plugin: true},
		{file: "self.jws", form: jws, key: ec(elliptic.P256()), self: true, good: true},
	} {
		template := &x509.Certificate{
			SerialNumber: serial(), Subject: named("signer"), NotBefore: start, NotAfter: start.AddDate(28, 0, 0),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		}
		if each.old {
			template.NotAfter = start.Add(24 * time.Hour)
		}
		var chain []*x509.Certificate
		if each.self {
			chain = []*x509.Certificate{issue(template, template, each.key.Public(), each.key)}
			write("self.crt", certificatePEM(chain[0]))
		} else {
			chain = []*x509.Certificate{issue(template, root, each.key.Public(), rootKey), root}
		}
		signer := must(signature.NewLocalSigner(chain, each.key))
		signed := start.Add(time.Hour)
		payload := must(json.Marshal(map[string]any{"targetArtifact": descriptor}))
		request := &signature.SignRequest{
			Payload: signature.Payload{ContentType: "application/vnd.cncf.notary.payload.v1+json", Content: payload}, Signer: signer,
			SigningTime: signed, SigningScheme: signature.SigningSchemeX509, SigningAgent: "lockgate-oracle/1",
		}
		if each.expired {
			request.Expiry = signed.Add(time.Hour)
		}
		if each.authority {
			request.SigningScheme = signature.SigningSchemeX509SigningAuthority
		}
		if each.plugin {
			request.ExtendedSignedAttributes = []signature.Attribute{{Key: "io.cncf.notary.verificationPlugin", Critical: true, Value: "some-plugin"}}
		}
		if each.stamped {
			pool := x509.NewCertPool()
			pool.AddCert(tsaRoot)
			request.TSARootCAs = pool
			request.Timestamper = &clock{tsaLeaf, tsaRoot, tsaKey, signed.Add(time.Minute)}
		}
		made := must(must(signature.NewEnvelope(each.form)).Sign(request))
		write(each.file, made)

		stores := []string{"ca:x", "signingAuthority:x"}
		if each.stamped {
			stores = append(stores, "tsa:x")
		}
		policy := &trustpolicy.Document{Version: "1.0", TrustPolicies: []trustpolicy.TrustPolicy{{
			Name: "all", RegistryScopes: []string{"*"}, SignatureVerification: trustpolicy.SignatureVerification{VerificationLevel: "strict"},
			TrustStores: stores, TrustedIdentities: []string{`x509.subject: C=DE, ST=Berlin, O=Example\, Ltd, CN=signer`},
		}}}
		trusted := store{root, tsaRoot}
		if each.self {
			trusted = store{chain[0]}
		}
		upstream := must(verifier.New(policy, trusted, nil))
		_, err := upstream.Verify(context.Background(), descriptor, made, notation.VerifierVerifyOptions{
			ArtifactReference: "registry.example.test/org/app@" + descriptor.Digest.String(), SignatureMediaType: each.form})
		fmt.Printf("%-20s %v\n", each.file, err)
		if (err == nil) != each.good {
			panic(each.file + " is not what it should be")
		}
	}
}
