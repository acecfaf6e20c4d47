"""A shared store behind the local one: what others made arrives, what is made here goes out."""
