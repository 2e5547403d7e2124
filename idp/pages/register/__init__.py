"""Making an account for oneself."""
