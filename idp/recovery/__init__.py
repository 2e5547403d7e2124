"""Backups of an installation, and what follows when its past comes back."""
