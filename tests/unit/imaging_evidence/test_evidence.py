"""Whole pictures in, evidence and decision out: every edit gets its relation, every other exposure stays similar."""

import io
from functools import cache

import cv2
import numpy as np
import pytest
import skimage.data
import sklearn.datasets
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from dedupd.core.records import Capture, ContentId, ContentRecord, ContentStage, Quality, Relation
from dedupd.core.relation import decide
from dedupd.imaging.evidence import compare_images, prepare

cv2.setNumThreads(1)

PHOTOS = ("astronaut", "chelsea", "coffee", "china", "flower")


@cache
def photo(name):
    if name in ("china", "flower"):
        return Image.fromarray(sklearn.datasets.load_sample_image(f"{name}.jpg"))
    return Image.fromarray(getattr(skimage.data, name)())


def reencoded(image, quality=85, file_format="JPEG"):
    buffer = io.BytesIO()
    image.save(buffer, file_format, quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def side(image):
    small = image.copy()
    small.thumbnail((384, 384), Image.Resampling.LANCZOS)
    return prepare(np.asarray(reencoded(small, 88)), *image.size)


def record(number, image):
    return ContentRecord(
        id=ContentId(number),
        digest=bytes([number]) * 32,
        size_bytes=1000,
        format="JPEG",
        width_px=image.width,
        height_px=image.height,
        image_digest=None,
        pixel_digest=None,
        quality=Quality(sharpness=100.0, information=5.0),
        capture=Capture(),
        decoder="test",
        stage=ContentStage.DESCRIBED,
        first_seen_ns=0,
    )


def verdict(first, second):
    """The decision both ways round, which must be one."""
    a, b = side(first), side(second)
    forth = decide(record(1, first), record(2, second), compare_images(a, b))
    back = decide(record(2, second), record(1, first), compare_images(b, a))
    assert forth.relation is back.relation
    return forth


def cropped(image, share, at=(0.5, 0.5)):
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    left, top = round((image.width - width) * at[0]), round((image.height - height) * at[1])
    return image.crop((left, top, left + width, top + height))


def with_noise(image, sigma, seed):
    noise = np.random.default_rng(seed).normal(0, sigma, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def screenshot(image):
    canvas = Image.new("RGB", (1080, 2340), (12, 12, 14))
    inner = image.resize((1080, round(image.height * 1080 / image.width)), Image.Resampling.BICUBIC)
    canvas.paste(inner, (0, (2340 - inner.height) // 2))
    draw = ImageDraw.Draw(canvas)
    draw.text((60, 30), "12:34", fill="white", font_size=36)
    for x in (270, 540, 810):
        draw.ellipse((x - 20, 2250, x + 20, 2290), outline="white", width=4)
    return canvas


def captioned(image):
    canvas = Image.new("RGB", (image.width, image.height + 80), "white")
    canvas.paste(image, (0, 80))
    ImageDraw.Draw(canvas).text((20, 20), "when it is finally friday", fill="black", font_size=36)
    return canvas


def same_view_with_parallax(image, strength_px):
    """Another exposure from a step aside: what is low in the picture is near and moves more."""
    pixels = np.asarray(image)
    ys, xs = np.mgrid[0 : image.height, 0 : image.width].astype(np.float32)
    bumps = np.sin(xs / 37) * np.cos(ys / 29)
    nearness = ys / image.height + 0.5 * bumps
    moved = cv2.remap(pixels, xs + strength_px * nearness, ys, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return Image.fromarray(moved)


RE_ENCODINGS = {
    "jpeg quality 85": lambda x: reencoded(x, 85),
    "webp": lambda x: reencoded(x, 70, "WEBP"),
    "half size": lambda x: reencoded(x.resize((x.width // 2, x.height // 2), Image.Resampling.LANCZOS)),
    "thumbnail": lambda x: reencoded(x.resize((x.width // 4, x.height // 4), Image.Resampling.BOX)),
}

EDITS = {
    "slight blur": lambda x: x.filter(ImageFilter.GaussianBlur(0.8)),
    "crop of 5 %": lambda x: reencoded(cropped(x, 0.05)),
    "crop of 30 % off centre": lambda x: reencoded(cropped(x, 0.3, (0.2, 0.7))),
    "rotated by 90°": lambda x: reencoded(x.transpose(Image.Transpose.ROTATE_90)),
    "rotated by 180°": lambda x: reencoded(x.transpose(Image.Transpose.ROTATE_180)),
    "mirrored": lambda x: reencoded(ImageOps.mirror(x)),
    "border": lambda x: reencoded(ImageOps.expand(x, 30, "white")),
    "brighter": lambda x: reencoded(ImageEnhance.Brightness(x).enhance(1.25)),
    "more contrast": lambda x: reencoded(ImageEnhance.Contrast(x).enhance(1.3)),
    "caption above": lambda x: reencoded(captioned(x)),
    "screenshot": lambda x: reencoded(screenshot(x)),
}


@pytest.mark.parametrize("edit", RE_ENCODINGS)
@pytest.mark.parametrize("name", PHOTOS)
def test_a_whole_picture_saved_again_is_re_encoded_and_in_doubt_at_worst_for_review(name, edit):
    found = verdict(photo(name), RE_ENCODINGS[edit](photo(name)))
    in_doubt = found.relation is Relation.EDITED and "cannot be told" in found.reason
    assert found.relation is Relation.RE_ENCODED or (in_doubt and edit in {"webp", "thumbnail"}), found


@pytest.mark.parametrize("name", PHOTOS)
def test_noise_added_to_a_copy_does_not_make_it_another_shot(name):
    assert verdict(photo(name), with_noise(photo(name), 6, 1)).relation.is_duplicate


def drawing(seed, size=(640, 480)):
    """Random colours at every scale and hard-edged saturated boxes: what colour subsampling smears most."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((size[1], size[0], 3), np.float32)
    for cells in (3, 7, 16, 40, 100):
        noise = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
        canvas += cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC) / cells**0.5
    image = Image.fromarray(cv2.normalize(canvas, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8))
    for _ in range(12):
        x, y = (int(v) for v in rng.integers(0, (size[0] - 60, size[1] - 60)))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        image.paste(colour, (x, y, x + int(rng.integers(20, 60)), y + int(rng.integers(20, 60))))
    return image.filter(ImageFilter.GaussianBlur(0.6))


WHOLE_PICTURES = {
    **{name: lambda name=name: photo(name) for name in (*PHOTOS, "rocket", "coins", "immunohistochemistry")},
    **{f"drawing {seed}": lambda seed=seed: drawing(seed) for seed in (1, 2, 3)},
    "small drawing": lambda: drawing(4, (400, 300)),
    "page": lambda: text_page(1),
    "screenshot": lambda: screenshot(photo("china")),
}
SAVED_AS = (  # share of the size, filter, quality, format
    (1.0, Image.Resampling.LANCZOS, 50, "JPEG"),
    (1.0, Image.Resampling.LANCZOS, 75, "WEBP"),
    (0.75, Image.Resampling.BICUBIC, 75, "JPEG"),
    (0.75, Image.Resampling.LANCZOS, 95, "PNG"),
    (0.5, Image.Resampling.BILINEAR, 60, "JPEG"),
    (0.5, Image.Resampling.BOX, 85, "JPEG"),
    (0.33, Image.Resampling.LANCZOS, 60, "JPEG"),
    (0.33, Image.Resampling.BICUBIC, 80, "WEBP"),
    (0.25, Image.Resampling.LANCZOS, 95, "JPEG"),
    (0.25, Image.Resampling.BICUBIC, 60, "JPEG"),
)


@pytest.mark.parametrize("name", WHOLE_PICTURES)
def test_any_picture_saved_smaller_or_poorer_is_a_duplicate(name):
    """From full size to a quarter, from quality 95 to 50: it may look edited, but it is never another shot."""
    image = WHOLE_PICTURES[name]().convert("RGB")
    missed = []
    for share, resample, quality, file_format in SAVED_AS:
        size = (round(image.width * share), round(image.height * share))
        if min(size) >= 64:
            found = verdict(image, reencoded(image.resize(size, resample), quality, file_format))
            if not found.relation.is_duplicate:
                missed.append((share, resample.name, quality, file_format, found))
    assert missed == []


def test_a_light_that_only_changed_its_colour_is_a_difference():
    """Red and green of one brightness: luma alone would see nothing."""

    def lamp(colour):
        image = photo("coffee").copy()
        ImageDraw.Draw(image).ellipse((250, 80, 274, 104), fill=colour)
        return reencoded(image)

    assert verdict(lamp((200, 30, 30)), lamp((30, 117, 30))).relation is Relation.SIMILAR


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", PHOTOS)
def test_an_edited_picture_is_edited(name, edit):
    assert verdict(photo(name), EDITS[edit](photo(name))).relation is Relation.EDITED


@pytest.mark.parametrize("name", PHOTOS)
def test_the_same_view_from_a_step_aside_is_similar(name):
    big = photo(name)
    found = verdict(reencoded(big), reencoded(same_view_with_parallax(big, big.width / 100)))
    assert found.relation is Relation.SIMILAR


@pytest.mark.parametrize("name", PHOTOS)
def test_a_moved_object_in_a_standing_scene_is_similar(name):
    scene, thing = photo(name), photo("coffee" if name != "coffee" else "china").resize((60, 60))
    first, second = scene.copy(), scene.copy()
    first.paste(thing, (scene.width // 2, scene.height // 2))
    second.paste(thing, (scene.width // 2 + 25, scene.height // 2 - 10))
    assert verdict(reencoded(first), reencoded(second)).relation is Relation.SIMILAR


@pytest.mark.parametrize("name", PHOTOS)
def test_the_next_hand_held_shot_is_similar(name):
    """A shake of a few pixels and a fraction of a degree: each frame shows a rim that the other lacks."""
    image = photo(name)
    turn = cv2.getRotationMatrix2D((image.width / 2, image.height / 2), 0.4, 1.0)
    turn[:, 2] += (5.3, -3.7)
    shaken = cv2.warpAffine(np.asarray(image), turn, image.size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    box = (20, 20, image.width - 20, image.height - 20)
    first, second = with_noise(image.crop(box), 3, 1), with_noise(Image.fromarray(shaken).crop(box), 3, 2)
    assert verdict(reencoded(first), reencoded(second)).relation is Relation.SIMILAR


def test_neighbours_of_a_panorama_are_similar():
    image = photo("china")
    left, right = image.crop((0, 0, 460, image.height)), image.crop((180, 0, image.width, image.height))
    assert verdict(left, right).relation is Relation.SIMILAR


def test_different_photos_are_different():
    for first in PHOTOS:
        for second in PHOTOS:
            if first < second:
                assert verdict(photo(first), photo(second)).relation is Relation.DIFFERENT


def text_page(seed):
    words = np.random.default_rng(seed).choice(["lorem", "ipsum", "dolor", "sit", "amet", "magna", "aliqua", "ut"], 400)
    page = Image.new("RGB", (1200, 1600), "white")
    draw = ImageDraw.Draw(page)
    draw.text((100, 60), "Invoice", fill="black", font_size=72)
    for row in range(40):
        draw.text((100, 200 + 32 * row), " ".join(words[10 * row : 10 * row + 10]), fill="black", font_size=24)
    return page


def test_pages_of_one_template_with_other_text_are_no_duplicates():
    assert not verdict(text_page(1), text_page(2)).relation.is_duplicate


def test_a_page_scanned_once_and_saved_again_is_re_encoded():
    assert verdict(text_page(1), reencoded(text_page(1), 60)).relation is Relation.RE_ENCODED


def test_another_number_on_the_same_screen_is_no_duplicate():
    def screen(number):
        image = photo("coffee").copy()
        draw = ImageDraw.Draw(image)
        draw.rectangle((100, 100, 220, 150), fill="white")
        draw.text((115, 105), number, fill="black", font_size=36)
        return image

    assert verdict(screen("17.20"), screen("94.65")).relation is Relation.SIMILAR


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_pictures_are_never_duplicates_of_each_other(level):
    first = Image.new("RGB", (640, 480), (level, level, level))
    assert not verdict(with_noise(first, 1.5, 1), with_noise(first, 1.5, 2)).relation.is_duplicate


def test_two_skies_are_no_duplicates():
    def sky(seed):
        ramp = np.linspace(120, 230, 480)[:, None] * np.ones((1, 640))
        cloud = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 60, (480, 640)), (0, 0), 40) * 4
        grey = np.clip(ramp + cloud, 0, 255).astype(np.uint8)
        return Image.fromarray(np.stack([grey // 2, grey // 2 + 60, grey], axis=2))

    assert not verdict(sky(1), sky(2)).relation.is_duplicate


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2), (7, 5), (16, 16), (384, 3)])
def test_tiny_pictures_and_strips_never_raise(size):
    rng = np.random.default_rng(3)
    tiny = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    flat = Image.new("RGB", size)
    for other in (tiny, flat, photo("astronaut")):
        verdict(tiny, other)
        verdict(flat, other)


def test_geometry_says_how_b_lies_on_a():
    image = photo("astronaut")
    half = image.resize((256, 256), Image.Resampling.LANCZOS)
    turned = image.transpose(Image.Transpose.ROTATE_90)  # counter-clockwise: 90° clockwise turns it back
    small = compare_images(side(image), side(half)).geometry
    quarter = compare_images(side(image), side(turned)).geometry
    crop = compare_images(side(image), side(cropped(image, 0.2))).geometry
    mirror = compare_images(side(image), side(ImageOps.mirror(image))).geometry
    assert small.scale == pytest.approx(0.5, rel=0.01)
    assert quarter.rotation_deg == pytest.approx(90, abs=0.2)
    assert not quarter.is_mirrored
    assert mirror.is_mirrored
    assert crop.overlap_of_a == pytest.approx(0.64, abs=0.01)
    assert crop.overlap_of_b == pytest.approx(1.0, abs=0.01)


def test_differences_are_boxed_in_the_first_picture_whichever_it_is():
    image, changed = photo("china"), photo("china").copy()
    changed.paste(photo("coffee").resize((64, 64)), (400, 100))
    for first, second in ((image, changed), (changed, image)):
        box = compare_images(side(first), side(second)).differences[0]
        assert box.left == pytest.approx(400 / image.width, abs=0.03)
        assert box.bottom == pytest.approx(164 / image.height, abs=0.03)


def test_evidence_is_the_same_from_both_sides():
    a, b = side(photo("china")), side(cropped(photo("china"), 0.2))
    forth, back = compare_images(a, b), compare_images(b, a)
    assert forth.similarity == back.similarity
    assert forth.band_errors == back.band_errors
    assert forth.geometry.overlap_of_a == pytest.approx(back.geometry.overlap_of_b, abs=1e-4)
    assert forth.geometry.scale == pytest.approx(1 / back.geometry.scale)


def test_dark_surroundings_with_a_few_lights_are_no_border_that_may_be_cut_off():
    stars = skimage.data.hubble_deep_field()
    first, second = Image.fromarray(stars[:700, :700]), Image.fromarray(stars[60:760, 60:760])
    found = compare_images(side(first), side(second))
    assert found.geometry is not None
    assert found.protrusion_px > 10
