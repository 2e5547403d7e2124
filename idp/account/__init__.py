"""The rules of people's own accounts: signing in, passwords, addresses, sessions, profile."""
