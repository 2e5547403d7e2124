"""One file per protocol endpoint: request in, response out."""
