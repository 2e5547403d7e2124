"""The seeds that an installation has received."""
