object 938dbb668d5313ccfb99c47fef549e8feca6e793
type commit
tag v1.0.0
tagger signer <signer@example.org> 1760000000 +0000

signed by pgp-ed25519
-----BEGIN PGP SIGNATURE-----

iHUEABYIAB0WIQSSBbcT4EjgBjeyWo2xd/JiDtDFIwUCaOd4AAAKCRCxd/JiDtDF
IyJQAQDSoV5CaBOo4jgZ27O1R9QS/KDiT8mEmFfgstcvYgoj7QEA6C6FWuNFCH+s
kHQH07RzGuV4P6kkFusN6pHLy4KTyQE=
=yn5F
-----END PGP SIGNATURE-----
