"""The protocol, free of HTTP frameworks."""
