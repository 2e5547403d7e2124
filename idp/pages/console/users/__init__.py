"""The screen of users."""
