"""One file per grant type of the token endpoint."""
