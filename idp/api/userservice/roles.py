"""Roles of tenants: create, update, delete, set privileges, bind to accounts."""

from __future__ import annotations
