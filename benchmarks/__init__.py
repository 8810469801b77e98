"""Measurements of dedupd as people use it: real processes, real files, real sockets. Never imported by dedupd."""
