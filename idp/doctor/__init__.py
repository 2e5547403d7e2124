"""What may be wrong with an installation: small checks, each with what to do about it."""
