"""Checks of an installation, each with advice on what to do."""
