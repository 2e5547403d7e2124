"""Code generated from API descriptions, and where it is published."""
