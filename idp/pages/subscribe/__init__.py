"""Subscriptions to an API: its page for strangers, and where the links in mails lead."""
