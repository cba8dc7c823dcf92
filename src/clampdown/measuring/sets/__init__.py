"""Sets of prompts, questions and passages: built-in, of public benchmarks by name, and from any file."""
