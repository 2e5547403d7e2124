"""Self-registration."""
