"""Turns small pictures into descriptors, the vectors whose nearest neighbours are candidates; decides nothing more."""
