"""The configuration: its schema and how it is read. Knows nothing of what the settings do."""
