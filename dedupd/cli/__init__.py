"""dedupctl: asks the running daemon. A client of the API; never imports the engine, so that it starts fast."""
