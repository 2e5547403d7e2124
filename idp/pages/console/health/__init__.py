"""The screen that shows how the service is."""
