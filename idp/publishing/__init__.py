"""What surrounds an API: the gateway in front of it, and what its users are told."""
