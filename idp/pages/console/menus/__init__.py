"""The screen of applications and their menus."""
