"""Subscriptions to an API: its public page, and the pages of links in mails."""
