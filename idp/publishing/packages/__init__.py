"""The market of SDK packages: where the clients of an API are found."""
