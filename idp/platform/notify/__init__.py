"""Mail and short messages."""
