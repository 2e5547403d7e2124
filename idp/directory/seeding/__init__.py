"""Which seeds an installation was given."""
