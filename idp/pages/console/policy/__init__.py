"""The screen of policies: what the platform or an organisation requires of passwords."""
