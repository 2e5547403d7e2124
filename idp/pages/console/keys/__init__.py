"""The screen of signing keys."""
