"""The flow: intake → describe → link. Each stage is one thread that owns its state; the store is their only queue."""
