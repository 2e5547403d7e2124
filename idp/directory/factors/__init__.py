"""Second factors of people: authenticator apps, passkeys and recovery codes."""
