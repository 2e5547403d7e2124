"""The screen that the console opens with."""
