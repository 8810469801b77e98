"""The process: command line, composition root, start and stop order, systemd. Decides nothing about photos."""
