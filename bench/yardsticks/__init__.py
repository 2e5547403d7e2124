"""What the same machine does with next to nothing: signatures, and answers without a product."""
