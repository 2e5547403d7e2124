"""The commands of `idp`, one file per subject."""
