"""The pure heart: records, decisions and ports. No clock, no disk, no threads, no logging."""
