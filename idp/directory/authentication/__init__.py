"""Proving who one is, at the sign-in page and through programs."""
