"""The screen of messages that wait or failed."""
