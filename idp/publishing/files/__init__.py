"""Uploaded files: what they are, where they are kept, how they are given out."""
