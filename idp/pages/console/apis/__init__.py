"""The screen of API resources, their scopes and privileges."""
