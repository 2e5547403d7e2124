"""Tenants: create with administrator and bundle, read, search, switch bundles."""

from __future__ import annotations
