"""Resetting a forgotten password by a link in a mail."""
