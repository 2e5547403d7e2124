"""Bundles (套餐): what a kind of tenant may do, and what its tenants start with."""
