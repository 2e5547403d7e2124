"""What surrounds an API: its gateway, subscribers, packages, generated code and files."""
