"""A labelled set that the repository can always make: copies of photographs, and look-alikes that are none.

    python -m benchmarks.generated OUT [--photos DIR …] [--sources N] [--seed S] [--half tune|report]

The pictures are simulated, so that two exposures of one scene exist in every kind that real libraries hold. What is
simulated is only as true as the models in `camera` and `look_alikes`: figures on real photographs are worth more.
"""
