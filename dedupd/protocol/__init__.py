"""The public contract on the wire: messages, names and where the socket is. Knows nothing of HTTP."""
