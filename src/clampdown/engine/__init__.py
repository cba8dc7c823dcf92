"""The engine: rows of many requests in one batch, each with its own steering and its receipt."""
