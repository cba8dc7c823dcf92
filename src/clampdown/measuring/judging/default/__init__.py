"""The judge that comes along: rules over clauses, a small classifier, and what either looks at."""
