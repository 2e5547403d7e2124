"""Policies: what the platform and each tenant require of passwords; the strictest wins."""
