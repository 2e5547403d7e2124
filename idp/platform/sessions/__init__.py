"""Who is signed in with which browser."""
