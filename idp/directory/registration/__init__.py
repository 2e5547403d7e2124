"""Registration: proven numbers and addresses, and the accounts made with them."""
