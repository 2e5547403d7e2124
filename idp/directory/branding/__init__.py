"""How the pages and mails of a tenant look: name, pictures, colour, links, texts."""
