"""Rows of before that are brought to the form of this release, beside everything else."""
