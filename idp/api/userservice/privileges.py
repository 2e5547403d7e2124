"""Privileges: of groups and roles, as a tree, and what an account holds in its tenants."""

from __future__ import annotations
