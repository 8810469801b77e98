"""One module a peer: how it is installed, what its settings mean, and how its answer becomes groups of paths.

Each is loaded twice: by the runner, for its constants, and by `inside` in the peer's own Python, for `groups`. So none
imports anything but the standard library at its top, and none imports another.

NAME            as people know it
FINDS           "near-duplicates", or "exact copies", which are compared in speed only for scale
PIP, DEBIAN     exact requirements of its virtual environment; or packages of the distribution
SETTINGS        values by name, the one that its makers recommend first; the others trade recall for precision
TIMES           how many times faster dedupd promises to be; None: nothing is promised
CALL            what is called, in one line
version()       what is installed
groups(folder, setting, workers) → lists of paths, each two of a list called duplicates; pairs where it answers in pairs
"""
