"""The screen that shows why a token says what it says."""
