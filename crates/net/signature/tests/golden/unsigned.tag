object e866b4b48ec98fb2ca1f8e635dc122e2c9cde42c
type commit
tag v1.0.0
tagger signer <signer@example.org> 1760000000 +0000

unsigned
