"""What goes into tokens and userinfo."""
