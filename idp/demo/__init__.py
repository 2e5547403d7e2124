"""Two organisations with people, applications and a past, for a first look at the product."""
