"""The screen of roles and what they permit."""
