"""The screen of bundles and of the types of tenants that they are made for."""
