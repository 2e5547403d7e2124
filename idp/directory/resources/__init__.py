"""API resources, scopes and identity resources."""
