"""Registration: verified numbers and addresses, and the accounts created with them."""
