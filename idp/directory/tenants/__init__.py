"""Organisations, issuers and memberships."""
