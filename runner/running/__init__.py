"""One run of a plan: what is asked for, what is stored, what is computed and what came of it."""
