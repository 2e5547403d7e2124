"""Browsers that people signed in with before, and those that need no second factor for a while."""
