"""Importing a file that an operator has written: checked, compared, added or changed."""
