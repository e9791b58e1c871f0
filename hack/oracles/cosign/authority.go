package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/digitorus/timestamp"
	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	cbundle "github.com/sigstore/cosign/v3/pkg/cosign/bundle"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	f_log "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// authority is a private Fulcio, Rekor of both versions, certificate log and timestamp authority.
type authority struct {
	root, intermediate, tsaRoot, tsaLeaf *x509.Certificate
	intermediateKey, tsaKey              *ecdsa.PrivateKey
	rekorKey, ctKey                      *ecdsa.PrivateKey
	rekor2Key                            ed25519.PrivateKey
	start                                time.Time
}

func key() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func serial() *big.Int { return must(rand.Int(rand.Reader, big.NewInt(1<<62))) }

func issue(template, parent *x509.Certificate, public any, by crypto.Signer) *x509.Certificate {
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, public, by))))
}

func ca(common string, start time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: common, Organization: []string{"example.test"}},
		NotBefore: start, NotAfter: start.AddDate(20, 0, 0), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true,
	}
}

func newAuthority() *authority {
	a := &authority{start: time.Now().UTC().Add(-24 * time.Hour).Truncate(time.Second)}
	rootKey, tsaRootKey := key(), key()
	a.intermediateKey, a.tsaKey, a.rekorKey, a.ctKey = key(), key(), key(), key()
	_, a.rekor2Key, _ = ed25519.GenerateKey(rand.Reader)
	template := ca("root", a.start)
	a.root = issue(template, template, rootKey.Public(), rootKey)
	template = ca("intermediate", a.start)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	a.intermediate = issue(template, a.root, a.intermediateKey.Public(), rootKey)
	template = ca("clock", a.start)
	a.tsaRoot = issue(template, template, tsaRootKey.Public(), tsaRootKey)
	usage := must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))
	a.tsaLeaf = issue(&x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "clock 1", Organization: []string{"example.test"}},
		NotBefore: a.start, NotAfter: a.start.AddDate(19, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}, a.tsaRoot, a.tsaKey.Public(), tsaRootKey)
	return a
}

func logID(public crypto.PublicKey) []byte { return sum(must(x509.MarshalPKIXPublicKey(public))) }

func (a *authority) trustedRoot() []byte {
	from := map[string]any{"start": a.start.Format(time.RFC3339)}
	log := func(url, kind string, public crypto.PublicKey, id []byte) map[string]any {
		return map[string]any{"baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": map[string]any{"keyId": b64(id)},
			"publicKey": map[string]any{"rawBytes": b64(must(x509.MarshalPKIXPublicKey(public))), "keyDetails": kind, "validFor": from}}
	}
	chain := func(uri string, certificates ...*x509.Certificate) map[string]any {
		var all []any
		for _, each := range certificates {
			all = append(all, map[string]any{"rawBytes": b64(each.Raw)})
		}
		return map[string]any{"subject": map[string]any{"organization": "example.test", "commonName": "x"}, "uri": uri,
			"certChain": map[string]any{"certificates": all}, "validFor": from}
	}
	p256, ed := "PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519"
	return must(json.MarshalIndent(map[string]any{
		"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs": []any{log("https://rekor.example.test", p256, a.rekorKey.Public(), logID(a.rekorKey.Public())),
			log("https://rekor2.example.test", ed, a.rekor2Key.Public(), a.rekor2ID())},
		"certificateAuthorities": []any{chain("https://fulcio.example.test", a.intermediate, a.root)},
		"ctlogs":                 []any{log("https://ct.example.test", p256, a.ctKey.Public(), logID(a.ctKey.Public()))},
		"timestampAuthorities":   []any{chain("https://clock.example.test", a.tsaLeaf, a.tsaRoot)},
	}, "", "  "))
}

func (a *authority) rekor2ID() []byte {
	_, id, err := rekornote.KeyHash("rekor2.example.test", a.rekor2Key.Public())
	check(err)
	return id
}

// leaf issues a certificate for ten minutes, with the word of the certificate log that it knows of it.
func (a *authority) leaf(public crypto.PublicKey, at time.Time, noSCT bool) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: serial(), EmailAddresses: []string{identity}, NotBefore: at, NotAfter: at.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(issuer)},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: must(asn1.Marshal(issuer))},
		},
	}
	before := issue(template, a.intermediate, public, a.intermediateKey)
	if noSCT {
		return before
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: uint64(at.UnixMilli()), LogID: ct.LogID{KeyID: [32]byte(logID(a.ctKey.Public()))}}
	entry := ct.LogEntry{Leaf: ct.MerkleTreeLeaf{Version: ct.V1, LeafType: ct.TimestampedEntryLeafType, TimestampedEntry: &ct.TimestampedEntry{
		Timestamp: sct.Timestamp, EntryType: ct.PrecertLogEntryType,
		PrecertEntry: &ct.PreCert{IssuerKeyHash: sha256.Sum256(a.intermediate.RawSubjectPublicKeyInfo), TBSCertificate: before.RawTBSCertificate},
	}}}
	input := must(ct.SerializeSCTSignatureInput(sct, entry))
	signed := must(a.ctKey.Sign(rand.Reader, sum(input), crypto.SHA256))
	sct.Signature = ct.DigitallySigned{Algorithm: cttls.SignatureAndHashAlgorithm{Hash: cttls.SHA256, Signature: cttls.ECDSA}, Signature: signed}
	one := must(cttls.Marshal(sct))
	list := append([]byte{byte(len(one) >> 8), byte(len(one))}, one...)
	list = append([]byte{byte(len(list) >> 8), byte(len(list))}, list...)
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{
		Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: must(asn1.Marshal(list)),
	})
	return issue(template, a.intermediate, public, a.intermediateKey)
}

func canonical(value any) []byte {
	return must(jsoncanonicalizer.Transform(must(json.Marshal(value))))
}

// promise is what the first version of the log signs of an entry.
func (a *authority) promise(body []byte, at time.Time, index int64) []byte {
	payload := canonical(cbundle.RekorPayload{Body: b64(body), IntegratedTime: at.Unix(), LogIndex: index, LogID: hex.EncodeToString(logID(a.rekorKey.Public()))})
	return must(a.rekorKey.Sign(rand.Reader, sum(payload), crypto.SHA256))
}

// proof places an entry beside another one in a tree of two.
func proof(body []byte) (root []byte, hashes [][]byte) {
	other := sum([]byte("\x00another entry"))
	entry := sum(append([]byte{0}, body...))
	return sum(append(append([]byte{1}, other...), entry...)), [][]byte{other}
}

func (a *authority) entry1(kind string, body []byte, at time.Time) *protorekor.TransparencyLogEntry {
	root, hashes := proof(body)
	signer := must(signature.LoadECDSASignerVerifier(a.rekorKey, crypto.SHA256))
	checkpoint := must(util.CreateAndSignCheckpoint(context.Background(), "rekor.example.test", 1193050959916656506, 2, root, signer))
	return &protorekor.TransparencyLogEntry{
		LogIndex: 1001, LogId: &commonv1.LogId{KeyId: logID(a.rekorKey.Public())},
		KindVersion: &protorekor.KindVersion{Kind: kind, Version: "0.0.1"}, IntegratedTime: at.Unix(),
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: a.promise(body, at, 1001)},
		InclusionProof:    &protorekor.InclusionProof{LogIndex: 1, TreeSize: 2, RootHash: root, Hashes: hashes, Checkpoint: &protorekor.Checkpoint{Envelope: string(checkpoint)}},
		CanonicalizedBody: body,
	}
}

func (a *authority) entry2(digest, sig []byte, leaf *x509.Certificate) *protorekor.TransparencyLogEntry {
	entry := &tiles.Entry{ApiVersion: "0.0.2", Kind: "hashedrekord", Spec: &tiles.Spec{Spec: &tiles.Spec_HashedRekordV002{HashedRekordV002: &tiles.HashedRekordLogEntryV002{
		Data: &commonv1.HashOutput{Algorithm: commonv1.HashAlgorithm_SHA2_256, Digest: digest},
		Signature: &tiles.Signature{Content: sig, Verifier: &tiles.Verifier{KeyDetails: commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
			Verifier: &tiles.Verifier_X509Certificate{X509Certificate: &commonv1.X509Certificate{RawBytes: leaf.Raw}}}},
	}}}}
	body := must(jsoncanonicalizer.Transform(must(protojson.Marshal(entry))))
	root, hashes := proof(body)
	signer := must(rekornote.NewNoteSigner(context.Background(), "rekor2.example.test", must(signature.LoadED25519SignerVerifier(a.rekor2Key))))
	checkpoint := must(note.Sign(&note.Note{Text: string(f_log.Checkpoint{Origin: "rekor2.example.test", Size: 2, Hash: root}.Marshal())}, signer))
	return &protorekor.TransparencyLogEntry{
		LogIndex: 1, LogId: &commonv1.LogId{KeyId: a.rekor2ID()}, KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof:    &protorekor.InclusionProof{LogIndex: 1, TreeSize: 2, RootHash: root, Hashes: hashes, Checkpoint: &protorekor.Checkpoint{Envelope: string(checkpoint)}},
		CanonicalizedBody: body,
	}
}

func (a *authority) timestamp(sig []byte, at time.Time) []byte {
	request := must(timestamp.ParseRequest(must(timestamp.CreateRequest(bytes.NewReader(sig), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true}))))
	stamp := timestamp.Timestamp{HashAlgorithm: request.HashAlgorithm, HashedMessage: request.HashedMessage, Time: at, Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, AddTSACertificate: true}
	return must(stamp.CreateResponseWithOpts(a.tsaLeaf, a.tsaKey, crypto.SHA256))
}

// The moment of a signature: within the ten minutes of the certificate, or after them.
func (a *authority) moments(late bool) (issued, signed time.Time) {
	issued = a.start.Add(time.Hour)
	if late {
		return issued, issued.Add(time.Hour)
	}
	return issued, issued.Add(time.Minute)
}

func (a *authority) bundle(version int, late, noSCT, message bool, digest v1.Hash, manifest []byte) *protobundle.Bundle {
	issued, signed := a.moments(late)
	own := key()
	leaf := a.leaf(own.Public(), issued, noSCT)
	leafPEM := must(cryptoutils.MarshalCertificateToPEM(leaf))
	made := &protobundle.Bundle{MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", VerificationMaterial: &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &commonv1.X509Certificate{RawBytes: leaf.Raw}},
	}}
	material := made.VerificationMaterial
	var sig, signedBytes, body []byte
	kind := "hashedrekord"
	if message {
		signedBytes = manifest
		sig = must(own.Sign(rand.Reader, sum(signedBytes), crypto.SHA256))
		made.Content = &protobundle.Bundle_MessageSignature{MessageSignature: &commonv1.MessageSignature{
			MessageDigest: &commonv1.HashOutput{Algorithm: commonv1.HashAlgorithm_SHA2_256, Digest: sum(manifest)}, Signature: sig}}
		body = hashedRekord(sum(manifest), sig, leafPEM)
	} else {
		kind = "dsse"
		statement := []byte(fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"%s"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`, digest.Hex))
		const payloadType = "application/vnd.in-toto+json"
		signedBytes = dsse.PAE(payloadType, statement)
		sig = must(own.Sign(rand.Reader, sum(signedBytes), crypto.SHA256))
		made.Content = &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{Payload: statement, PayloadType: payloadType, Signatures: []*protodsse.Signature{{Sig: sig}}}}
		envelope := canonical(map[string]any{"payload": b64(statement), "payloadType": payloadType, "signatures": []any{map[string]any{"sig": b64(sig)}}})
		body = canonical(map[string]any{"apiVersion": "0.0.1", "kind": "dsse", "spec": map[string]any{
			"envelopeHash": map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum(envelope))},
			"payloadHash":  map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum(statement))},
			"signatures":   []any{map[string]any{"signature": b64(sig), "verifier": b64(leafPEM)}}}})
	}
	if version == 1 {
		material.TlogEntries = []*protorekor.TransparencyLogEntry{a.entry1(kind, body, signed)}
		return made
	}
	material.TlogEntries = []*protorekor.TransparencyLogEntry{a.entry2(sum(signedBytes), sig, leaf)}
	material.TimestampVerificationData = &protobundle.TimestampVerificationData{
		Rfc3161Timestamps: []*commonv1.RFC3161SignedTimestamp{{SignedTimestamp: a.timestamp(sig, signed)}}}
	return made
}

func hashedRekord(digest, sig, verifier []byte) []byte {
	return canonical(map[string]any{"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": map[string]any{
		"data":      map[string]any{"hash": map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(digest)}},
		"signature": map[string]any{"content": b64(sig), "publicKey": map[string]any{"content": b64(verifier)}}}})
}

func (a *authority) classic(payload string, late, noSCT bool) layer {
	issued, signed := a.moments(late)
	own := key()
	leaf := a.leaf(own.Public(), issued, noSCT)
	leafPEM := must(cryptoutils.MarshalCertificateToPEM(leaf))
	sig := must(own.Sign(rand.Reader, sum([]byte(payload)), crypto.SHA256))
	body := hashedRekord(sum([]byte(payload)), sig, leafPEM)
	logged := cbundle.RekorBundle{SignedEntryTimestamp: a.promise(body, signed, 1002), Payload: cbundle.RekorPayload{
		Body: b64(body), IntegratedTime: signed.Unix(), LogIndex: 1002, LogID: hex.EncodeToString(logID(a.rekorKey.Public()))}}
	return layer{payload, map[string]string{
		"dev.cosignproject.cosign/signature": b64(sig),
		"dev.sigstore.cosign/certificate":    string(leafPEM),
		"dev.sigstore.cosign/chain":          string(must(cryptoutils.MarshalCertificatesToPEM([]*x509.Certificate{a.intermediate, a.root}))),
		"dev.sigstore.cosign/bundle":         string(must(json.Marshal(logged))),
	}}
}

func (a *authority) parsedBundle(text string) *cbundle.RekorBundle {
	parsed := &cbundle.RekorBundle{}
	check(json.Unmarshal([]byte(text), parsed))
	return parsed
}
