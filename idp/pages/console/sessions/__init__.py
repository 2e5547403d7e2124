"""The screen of live sessions and grants."""
