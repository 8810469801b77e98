"""Full pictures: a copy keeps what the small images said of it, another exposure and a changed digit fall."""

import io
from functools import cache

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFont

from dedupd.core.full_look import contradicted_by_full_look
from dedupd.core.records import ContentId, ContentRecord, ContentStage
from dedupd.imaging.decode import decode
from dedupd.imaging.evidence import compare_images, prepare
from dedupd.imaging.fine_look import MAX_SIDE_PX, look_closely
from dedupd.imaging.full_picture import MAX_COMPARED_PX, decode_full
from dedupd.imaging.limits import DecodeLimits

cv2.setNumThreads(1)
LIMITS = DecodeLimits()


@cache
def scene():
    """float32 [1280, 1400, 3]: a photograph without noise of its own."""
    image = (
        Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 468)).resize((1400, 1280), Image.Resampling.BICUBIC)
    )
    return np.asarray(image, np.float32)


def exposure(seed, *, levels=4.0, picture=None):
    """A photo of the scene: sensor noise, spread by demosaicing."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, levels, scene().shape[:2]).astype(np.float32)
    picture = scene() if picture is None else picture
    return Image.fromarray(np.clip(picture + cv2.GaussianBlur(noise, (0, 0), 0.5)[..., None], 0, 255).astype(np.uint8))


@cache
def shot():
    return exposure(1)


def saved(image, quality=92, form="JPEG"):
    out = io.BytesIO()
    image.save(out, form, quality=quality)
    return out.getvalue()


def looked(data_a, data_b):
    images = [decode(data, LIMITS) for data in (data_a, data_b)]
    a, b = (prepare(image.small, image.width_px, image.height_px) for image in images)
    before = compare_images(a, b)
    found = look_closely(a, decode_full(data_a, LIMITS), b, decode_full(data_b, LIMITS), before)
    return before, found, contradicted_by_full_look(*(record(image) for image in images), found)


def record(image):
    return ContentRecord(
        id=ContentId(1), digest=bytes(32), size_bytes=1, format=image.format, width_px=image.width_px,
        height_px=image.height_px, image_digest=None, pixel_digest=None, quality=image.quality, capture=image.capture,
        decoder="", stage=ContentStage.DESCRIBED, first_seen_ns=0,
    )  # fmt: skip


EDITS = {
    "saved again": lambda i: i,
    "smaller": lambda i: i.resize((1050, 960), Image.Resampling.LANCZOS),
    "cropped": lambda i: i.crop((103, 77, 1311, 1190)),
    "turned": lambda i: i.transpose(Image.Transpose.ROTATE_90),
    "mirrored": lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "brighter": lambda i: i.point(lambda v: int(v * 0.8)),
    "grey": lambda i: i.convert("L").convert("RGB"),
}


@pytest.mark.parametrize(("edit", "quality"), [*((edit, 90) for edit in EDITS), ("saved again", 50), ("smaller", 60)])
def test_a_copy_keeps_its_relation(edit, quality):
    _, found, said = looked(saved(shot()), saved(EDITS[edit](shot()), quality))
    assert found.fine_px > 700
    assert said is None
    if quality == 90 and edit != "brighter":
        assert found.fine_noise_correlation > 0.3


@pytest.mark.parametrize("edit", ["saved again", "cropped", "turned"])
def test_another_exposure_has_noise_of_its_own(edit):
    before, found, said = looked(saved(shot()), saved(EDITS[edit](exposure(2)), 90))
    assert before.similarity > 0.99
    assert found.fine_noise_correlation < 0.1
    assert "noise" in said


def test_a_copy_without_noise_says_nothing_about_it():
    smooth = Image.fromarray(cv2.bilateralFilter(np.asarray(shot()), 7, 25, 3))
    _, found, said = looked(saved(shot()), saved(smooth))
    assert found.fine_noise_correlation is None
    assert said is None


def numbered(text):
    image = shot().copy()
    draw = ImageDraw.Draw(image)
    draw.rectangle((1000, 1100, 1120, 1140), fill=(228, 228, 222))
    draw.text((1010, 1110), text, font=ImageFont.load_default(size=17), fill=(120, 120, 118))
    return image


def test_a_changed_digit_that_small_images_do_not_show_is_found_and_where_it_is():
    before, found, said = looked(saved(numbered("17.20")), saved(numbered("17.80"), 85))
    assert before.excess < 0.5
    assert before.differences == ()
    assert "different" in said
    [box] = found.differences
    assert 1000 / 1400 < box.left < box.right < 1120 / 1400
    assert 1100 / 1280 < box.top < box.bottom < 1140 / 1280


def test_both_ways_round_see_the_same_each_from_its_side():
    a, b = saved(numbered("17.20").transpose(Image.Transpose.ROTATE_90)), saved(numbered("17.80"), 85)
    (_, there, _), (_, back, _) = looked(a, b), looked(b, a)
    assert there.fine_px == back.fine_px
    assert there.fine_errors == pytest.approx(back.fine_errors, abs=1e-3)
    assert there.fine_noise_correlation == back.fine_noise_correlation
    assert there.excess == pytest.approx(back.excess, rel=1e-3)
    [box] = there.differences  # 90° counter-clockwise: what was right is at the top
    assert 1 - 1120 / 1400 < box.top < box.bottom < 1 - 1000 / 1400


def test_pictures_that_do_not_lie_on_each_other_keep_their_evidence():
    other = Image.fromarray(skimage.data.coffee()).resize((1400, 933))
    before, found, _ = looked(saved(shot()), saved(other))
    assert found == before


def test_the_shared_part_is_looked_at_in_bounded_size():
    large = shot().resize((2100, 1920), Image.Resampling.BICUBIC)
    _, found, said = looked(saved(large, 85), saved(large, 75))
    assert found.fine_px == round(MAX_SIDE_PX * 1920 / 2100)
    assert said is None


def test_a_picture_is_decoded_upright_and_a_huge_one_halved():
    image = shot()
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    assert decode_full(out.getvalue(), LIMITS).shape == (1400, 1280, 3)
    for form in ("JPEG", "PNG"):
        huge = Image.new("RGB", (5001, 4000), (90, 80, 70))
        pixels = decode_full(saved(huge, form=form), LIMITS)
        assert pixels.shape == (2000, 2501, 3)
        assert pixels.shape[0] * pixels.shape[1] <= MAX_COMPARED_PX
