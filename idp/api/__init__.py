"""What a program manages."""
