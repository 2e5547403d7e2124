"""The screen of OAuth clients."""
