"""Menus: read, search, and what privileges let a person see."""

from __future__ import annotations
