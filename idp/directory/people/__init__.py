"""What managers do with people: accounts as a whole, within their reach."""
