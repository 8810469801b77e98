"""The HTTP server on a Unix socket: questions in, answers from the ports out. Decides nothing about pictures."""
