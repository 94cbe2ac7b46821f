"""AQL: lexer, parser, optimizer (index use) and executor, over the collections of one database."""
