"""The screen of branding: name, colours, pictures, links and texts of a tenant's pages."""
