"""Applications of tenants, and the menus that people see in them."""
