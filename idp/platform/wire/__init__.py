"""What JSON from outside looks like, whichever API or file it comes in."""
