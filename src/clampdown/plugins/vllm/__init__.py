"""vLLM, out of tree: the same recipes on the engine that many run. `register` is the entry point that vLLM calls."""
