"""Accounts: create, look up, search, bind to tenants, authenticate and log in."""

from __future__ import annotations
