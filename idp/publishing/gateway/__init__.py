"""Publications: APIs at the gateway, with their versions, revisions and releases."""
