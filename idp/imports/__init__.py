"""Bringing in what operators write down in a file: checked, compared, added or changed."""
