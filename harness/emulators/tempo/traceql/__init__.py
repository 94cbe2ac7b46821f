"""TraceQL: lexer, parser, checks, what storage hands over, evaluation."""
