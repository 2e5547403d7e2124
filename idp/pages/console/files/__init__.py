"""The screen of uploaded files."""
