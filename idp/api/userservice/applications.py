"""Applications: create, update, delete, search, and the resources in them."""

from __future__ import annotations
