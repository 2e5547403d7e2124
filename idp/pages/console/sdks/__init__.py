"""The screen of SDKs and packages: what is made of an API, and where it is published."""
