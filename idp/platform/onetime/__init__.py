"""Keys that work once."""
