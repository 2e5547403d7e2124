"""Subscriptions to new versions of an API: confirmed addresses, and mails to them."""
