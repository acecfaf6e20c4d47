"""The language of specs: TOML text to a checked spec; it knows no node."""
