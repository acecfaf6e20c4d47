"""Corruptions against their definitions, pixel by pixel where that is short to write down."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import zoom

from plugins.maths.images import blurs, digital, noises, resampling, weather
from plugins.maths.images.corruptions import corrupted
from plugins.maths.images.pixels import bytes_of, cut_off, normalised
from runner.types import Array, Seed

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
X = PIXELS.astype(np.float32) / np.float32(255)


def draw(number: int = 0) -> np.random.Generator:
    return np.random.default_rng(number)


def flat(value: float, count: int = 400) -> Array:
    return np.full((count, 32, 32, 3), value, np.float32)


def test_bytes_survive_normalisation() -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    np.testing.assert_array_equal(bytes_of(normalised(every, mean, std), mean, std), every)


def test_values_are_cut_off_and_whole_ones_stay() -> None:
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(cut_off(every / np.float32(255)), every)
    assert cut_off(np.array([-1, 0.5, 0.999, 2], np.float32)).tolist() == [0, 127, 254, 255]


# -- noises: moments; bounds are five standard errors of 1,228,800 draws ---------------------------


def test_gaussian_noise_has_its_deviation() -> None:
    noise = noises.gaussian_noise(flat(0.5), draw(), 0.1) - 0.5
    assert abs(noise.mean()) < 5 * 0.1 / noise.size**0.5
    assert abs(noise.std() - 0.1) < 5 * 0.1 / (2 * noise.size) ** 0.5


def test_shot_noise_has_the_variance_of_its_photons() -> None:
    found = noises.shot_noise(flat(0.4), draw(), 100.0)
    assert abs(found.mean() - 0.4) < 5 * 0.0632 / found.size**0.5
    assert found.var() == pytest.approx(0.4 / 100, rel=5 * (2.03 / found.size) ** 0.5)


def test_impulse_noise_is_half_salt_and_half_pepper() -> None:
    found = noises.impulse_noise(flat(0.5), draw(), 0.07)
    for value in (0, 1):
        share = float((found == value).mean())
        assert abs(share - 0.035) < 5 * (0.035 * 0.965 / found.size) ** 0.5
    assert ((found == 0) | (found == 1) | (found == 0.5)).all()


# -- blurs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur"])
def test_blurs_leave_a_flat_image_as_it_is(kind: str, level: int) -> None:
    grey = np.full((2, 32, 32, 3), 117, np.uint8)
    assert np.abs(corrupted(grey, kind, level, Seed(0)).astype(int) - 117).max() <= 1


def test_a_disk_of_one_pixel_averages_five() -> None:
    found = blurs.defocus_blur(X, draw(), 1, 0.01)
    wanted = (X[:, 5, 5] + X[:, 4, 5] + X[:, 6, 5] + X[:, 5, 4] + X[:, 5, 6]) / 5
    np.testing.assert_allclose(found[:, 5, 5], wanted, atol=1e-6)
    corner = (X[:, 0, 0] + 2 * X[:, 1, 0] + 2 * X[:, 0, 1]) / 5  # mirrored at the edge
    np.testing.assert_allclose(found[:, 0, 0], corner, atol=1e-6)


def test_glass_takes_the_neighbour_above_left_or_both() -> None:
    found = blurs.glass_blur(X, draw(), 0.05, 1)
    h, w = 17, 9
    choices = np.stack([X[:, h - a, w - b] for a in (0, 1) for b in (0, 1)])
    hits = (np.abs(choices - found[:, h, w]) < 1e-6).all(2)
    assert hits.any(0).all()
    np.testing.assert_allclose(found[:, :2], X[:, :2], atol=1e-6)  # the first two rows stay


def loop_glass(pixels: Array, shifts: Array) -> Array:
    """The published loop, last pixel first, with its assignment of views."""
    x = pixels.copy()
    for h in range(31, 1, -1):
        for w in range(31, 1, -1):
            up, left = shifts[:, h, w]
            x[h, w], x[h - up, w - left] = x[h - up, w - left], x[h, w]
    return x


def test_glass_is_the_published_loop() -> None:
    found = blurs.glass_blur(X, draw(3), 0.05, 1)
    shifts = draw(3).integers(0, 2, (2, len(X), 32, 32))
    for number, image in enumerate(PIXELS):
        wanted = loop_glass(image, shifts[:, number])
        np.testing.assert_array_equal(np.rint(found[number] * 255), wanted)


def test_motion_goes_along_its_angle_and_keeps_the_edge() -> None:
    point = np.zeros((3, 32, 32, 1), np.float32)
    point[:, 16, 16] = 1
    across, down, slanted = resampling.moved(point, 6, 2.0, np.array([0.0, 90.0, 45.0]))
    weights = np.exp(-(np.arange(13) ** 2) / 8)
    weights /= weights.sum()
    np.testing.assert_allclose(across[16, 16:3:-1, 0], weights, atol=1e-6)
    np.testing.assert_allclose(down[16:3:-1, 16, 0], weights, atol=1e-6)
    assert slanted[15, 15, 0] > 0
    assert slanted[17, 17, 0] == 0
    np.testing.assert_allclose([across.sum(), down.sum(), slanted.sum()], 1, atol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.06, 1.25, 1.75, 2.25])
def test_zooms_are_those_of_scipy(factor: float) -> None:
    middle = int(np.ceil(32 / factor))
    first = (32 - middle) // 2
    found = resampling.zoomed(X[:2], np.array([factor]))
    for number in range(2):
        inner = X[number, first : first + middle, first : first + middle]
        whole = zoom(inner, (factor, factor, 1), order=1)
        cut = (len(whole) - 32) // 2
        wanted = whole[cut : cut + 32, cut : cut + 32]
        np.testing.assert_allclose(found[number], wanted, atol=1e-5)


# -- weather ---------------------------------------------------------------------------------------


def loop_plasma(side: int, decay: float, draws: np.random.Generator) -> Array:
    """Diamond and square, one point after the other, on a torus."""
    heights, step, swing = np.zeros((side, side)), side, 100.0
    while step >= 2:
        half, points = step // 2, range(0, side, step)
        for down, right, around in (
            (half, half, [(-half, -half), (-half, half), (half, -half), (half, half)]),
            (0, half, [(-half, 0), (half, 0), (0, -half), (0, half)]),
            (half, 0, [(-half, 0), (half, 0), (0, -half), (0, half)]),
        ):
            noise = draws.random((1, len(points), len(points)), dtype=np.float32)[0] * 2 - 1
            for i, row in enumerate(points):
                for j, column in enumerate(points):
                    y, x = row + down, column + right
                    four = [heights[(y + a) % side, (x + b) % side] for a, b in around]
                    heights[y, x] = sum(four) / 4 + swing**2 * noise[i, j]
        step, swing = half, swing / decay
    heights -= heights.min()
    return heights / heights.max()


@pytest.mark.parametrize("decay", [1.5, 3.0])
def test_plasma_is_diamond_and_square_point_by_point(decay: float) -> None:
    found = weather.plasma(1, 16, decay, draw(5))[0]
    np.testing.assert_allclose(found, loop_plasma(16, decay, draw(5)), atol=1e-5)


def test_fog_keeps_the_brightest_value_within_the_image() -> None:
    found = weather.fog(X * 0.5, draw(), 1.5, 1.75)
    assert (found.max((1, 2, 3)) <= (X * 0.5).max((1, 2, 3)) + 1e-6).all()


def test_brightness_raises_the_value_and_keeps_hue_and_saturation() -> None:
    import colorsys

    pixels = X[0, :4, :4].reshape(-1, 3)
    found = weather.brightness(pixels.reshape(1, 4, 4, 3), draw(), 0.15).reshape(-1, 3)
    for before, after in zip(pixels, found, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*map(float, before))
        wanted = colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + 0.15))
        np.testing.assert_allclose(after, wanted, atol=1e-5)
    black = weather.brightness(flat(0, 1), draw(), 0.15)
    np.testing.assert_allclose(black, 0.15)


def test_frost_pictures_have_the_colours_of_the_published_ones_and_never_change() -> None:
    for number, (*colour, contrast) in enumerate(weather.FROST):
        picture = weather.frost_picture(number, 256)
        assert picture.min() >= 0
        assert picture.max() <= 1
        # a few needles are cut off at white
        np.testing.assert_allclose(picture.mean((0, 1)), colour, atol=0.02)
        np.testing.assert_allclose(picture.std((0, 1)), contrast, atol=0.02)
    one, same = weather.frost_picture(1, 256), weather.frost_picture(2, 256)
    assert not np.array_equal(one, same)  # drawn anew, though their colours are equal
    weather.frost_picture.cache_clear()
    np.testing.assert_array_equal(weather.frost_picture(2, 256), same)


def test_snow_falls_on_the_image_and_on_the_image_turned_round() -> None:
    found = weather.snow(flat(0, 50), draw(), 0.1, 0.3, 1, 0.6, 8, 3, 1.0)
    np.testing.assert_allclose(found, found[:, ::-1, ::-1], atol=1e-6)
    assert found.std() > 0.01


# -- digital ---------------------------------------------------------------------------------------


def test_contrast_shrinks_deviations_and_keeps_means() -> None:
    found = digital.contrast(X, draw(), 0.3)
    np.testing.assert_allclose(found.mean((1, 2)), X.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(found.std((1, 2)), 0.3 * X.std((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("share", [0.95, 0.9, 0.85, 0.75, 0.65])
def test_pixelate_is_pillows_box_resize(share: float) -> None:
    found = digital.pixelate(X, draw(), share)
    small = (int(32 * share), int(32 * share))
    for number, image in enumerate(PIXELS):
        box = Image.Resampling.BOX
        wanted = Image.fromarray(image).resize(small, box).resize((32, 32), box)
        np.testing.assert_array_equal(np.rint(found[number] * 255), np.asarray(wanted))


def test_jpeg_is_pillows() -> None:
    stream = io.BytesIO()
    Image.fromarray(PIXELS[1]).save(stream, "JPEG", quality=40)
    found = corrupted(PIXELS, "jpeg_compression", 5, Seed(0))
    np.testing.assert_array_equal(found[1], np.asarray(Image.open(stream)))


def test_sampling_at_the_pixels_is_the_image() -> None:
    rows, columns = (np.broadcast_to(a, (6, 32, 32)) for a in np.mgrid[0:32, 0:32])
    for edge in ("mirror", "reflect"):
        found = resampling.sampled(X, rows, columns, edge=edge)
        np.testing.assert_allclose(found, X, atol=1e-6)
    half = resampling.sampled(X, rows + 0.5, columns, edge="reflect")
    np.testing.assert_allclose(half[:, :-1], (X[:, :-1] + X[:, 1:]) / 2, atol=1e-6)


@pytest.mark.parametrize(("edge", "mode"), [("mirror", "mirror"), ("reflect", "reflect")])
def test_what_lies_outside_is_as_scipy_folds_it(edge: str, mode: str) -> None:
    from scipy.ndimage import map_coordinates

    places = draw().uniform(-20, 50, (2, 32, 32))
    rows, columns = (np.broadcast_to(p, (6, 32, 32)) for p in places)
    found = resampling.sampled(X, rows, columns, edge=edge)
    wanted = map_coordinates(X[2, :, :, 1], places, order=1, mode=mode)
    np.testing.assert_allclose(found[2, :, :, 1], wanted, atol=1e-4)


def test_a_map_of_three_points_moves_them() -> None:
    """Without displacement the images' point (x, y) goes where the jittered triangle says."""
    image = np.zeros((40, 32, 32, 3), np.float32)
    image[:, 16, 16] = 1
    found = digital.elastic_transform(image, draw(), 0.0, 0.0, 0.08)
    moved = draw().uniform(-2.56, 2.56, (40, 3, 2))
    rows, columns = np.mgrid[0:32, 0:32]
    total = found[..., 0].sum((1, 2))
    at = np.stack([(found[..., 0] * grid).sum((1, 2)) / total for grid in (columns, rows)], axis=1)
    middle = (moved[:, 0] + moved[:, 2]) / 2  # of the first and the third point: the centre
    assert np.abs(at - 16 - middle).max() < 0.75  # a pixel wide: the point is a square
