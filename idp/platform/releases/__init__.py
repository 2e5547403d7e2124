"""Which releases use the database side by side."""
