"""The local store: records of finished nodes, immutable content by digest, and views of it."""
