"""Second factors of people: authenticator apps, passkeys, recovery and enrolment codes."""
