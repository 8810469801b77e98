"""Clean-up by plan: draws plans up, acts on files in a process of its own, puts back."""
