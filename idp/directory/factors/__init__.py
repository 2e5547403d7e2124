"""Second factors of people: authenticator apps and recovery codes."""
