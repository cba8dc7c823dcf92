"""Why an operating point costs what it costs: the damage divided, and a survey of what predicts it."""
