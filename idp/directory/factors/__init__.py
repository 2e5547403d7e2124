"""Second factors of people: authenticator apps, recovery codes and enrolment codes."""
