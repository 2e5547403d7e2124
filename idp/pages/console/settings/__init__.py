"""The screen of the settings in use."""
