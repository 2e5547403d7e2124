"""The screen of tenants, which people read as organisations."""
