"""The administrators' console: a package for each screen, and the frame around them."""
