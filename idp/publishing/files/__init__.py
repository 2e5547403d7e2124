"""Uploaded files: what they are, where they are stored, how they are served."""
