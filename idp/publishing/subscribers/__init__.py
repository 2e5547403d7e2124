"""Who wants to hear of new versions of an API: proven addresses, and mails to them."""
