"""Authentication of people, at the sign-in page and through programs."""
