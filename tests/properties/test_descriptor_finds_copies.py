"""A photo and what any edit of the card makes of it are candidates of each other, whichever of the two asks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from properties.transformations import CARD, Edit
from skimage import data
from sklearn.datasets import load_sample_images

from dedupd.core.arrays import Pixels
from dedupd.core.ports import SMALL_SIDE_PX, Descriptor
from dedupd.embedding.describe import describe
from dedupd.embedding.local_embedder import CANDIDATE_SIMILARITY
from dedupd.embedding.projection import load_projection

PROJECTION = load_projection()
CHINA, FLOWER = load_sample_images().images
# One subject or one view each. Patterns of small things (coins, galaxies) look alike in any part and are not promised.
PHOTOS: dict[str, Pixels] = {
    "astronaut": data.astronaut(),
    "chelsea": data.chelsea(),
    "coffee": data.coffee(),
    "rocket": data.rocket(),
    "camera": np.repeat(data.camera()[:, :, None], 3, axis=2),
    "china": CHINA,
    "flower": FLOWER,
    "retina": np.ascontiguousarray(data.retina()[::2, ::2]),
}


def described(pixels: Pixels) -> Descriptor:
    """As the daemon describes it: after decoding to a small picture."""
    image = Image.fromarray(pixels)
    image.thumbnail((SMALL_SIDE_PX, SMALL_SIDE_PX), Image.Resampling.BOX)
    return describe(np.asarray(image), PROJECTION)


LIBRARY = {name: described(pixels) for name, pixels in PHOTOS.items()}


@pytest.mark.parametrize("transformation", CARD)
def test_a_photo_and_its_copy_are_candidates_of_each_other(transformation: str):
    @settings(
        max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(st.sampled_from(sorted(PHOTOS)), CARD[transformation])
    def holds(name: str, edit: Edit) -> None:
        copy, original = described(edit(PHOTOS[name])), LIBRARY[name]
        assert float((copy.queries @ original.stored.T).max()) >= CANDIDATE_SIMILARITY
        assert float((original.queries @ copy.stored.T).max()) >= CANDIDATE_SIMILARITY

    holds()
