"""Reports: from the journal, and nothing else, to what a person or a pipeline reads."""
