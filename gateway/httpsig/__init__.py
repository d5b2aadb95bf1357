"""HTTP Message Signatures (RFC 9421), Digest Fields (RFC 9530) and JSON Web Keys (RFC 7517)."""
