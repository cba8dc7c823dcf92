"""Models: loading, chat templates, key-value caches, and the residual between blocks."""
