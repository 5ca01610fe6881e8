"""The page that shows a picture and its colours in space."""

import base64
import io
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.exploring import PREVIEW, choose_colors
from kmeans_fast.page import NARROW, write_page

from .pictures import photograph

PICTURE = photograph(60, 80)


def picture_in(trace):
    _, data = trace.source.split(",", 1)
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture(scope="module")
def figure():
    return kf.explore(PICTURE, ks=[1, 3, 8])


# ----------------------------------------------------------------------------- what it shows


def test_the_first_view_has_the_original_colors(figure):
    image, scatter, bars, _, at, clusters = figure.data
    assert (scatter.visible, clusters.visible) == (True, False)
    shown = np.asarray(picture_in(image).convert("RGB")).astype(int)
    assert shown.shape == PICTURE.shape
    assert np.abs(shown - PICTURE).mean() < 6  # a JPEG
    colors = np.stack([scatter.x, scatter.y, scatter.z], axis=1)
    assert np.array_equal(np.unique(colors, axis=0), np.unique(PICTURE.reshape(-1, 3), axis=0))
    assert scatter.marker.color[0] == "#{:02x}{:02x}{:02x}".format(*colors[0])
    assert len(bars.y) == len(at.y) == 0
    assert figure.layout.title.text.startswith("original: 80 x 60 pixels, ")


@pytest.mark.parametrize(("number", "k"), [(1, 1), (2, 3), (3, 8)])
def test_each_frame_is_a_fit(figure, number, k):
    frame = figure.frames[number]
    image, own, bars, at, scatter = frame.data
    assert (own.visible, scatter.visible) == (False, True)
    result = kf.fit(PICTURE, k)
    assert (frame.name, list(frame.traces)) == (str(k), [0, 1, 2, 4, 5])
    assert np.array_equal(
        np.asarray(picture_in(image).convert("RGB")), result.palette[result.labels]
    )
    assert list(bars.y) == pytest.approx(sorted(100 * result.counts / PICTURE[..., 0].size)[::-1])
    assert at.x[0] == k
    assert at.y[0] == result.inertia
    # Each colour is painted with the average of its cluster.
    colors = np.stack([getattr(figure.data[1], axis) for axis in "xyz"], axis=1)
    scale = [color for _, color in scatter.marker.colorscale]
    assert len(scale) == 2 * k
    painted = [scale[2 * label] for label in scatter.marker.color]
    expected = result.palette[result.predict(colors)]
    assert painted == ["#{:02x}{:02x}{:02x}".format(*color) for color in expected]
    assert sorted(bars.marker.color) == sorted(set(scale))


def test_the_slider_goes_through_the_frames(figure):
    steps = figure.layout.sliders[0].steps
    assert [step.args[0][0] for step in steps] == [frame.name for frame in figure.frames]
    assert [step.label for step in steps] == ["original", "1", "3", "8"]
    curve = figure.data[3]
    assert list(curve.x) == [1, 3, 8]
    assert list(curve.y) == [kf.fit(PICTURE, k).inertia for k in (1, 3, 8)]


def test_many_colors_are_drawn_by_lot_and_a_large_picture_is_shown_small():
    picture = photograph(900, 1300)
    figure = kf.explore(picture, ks=[2], max_points=500)
    assert len(figure.data[1].x) == 500
    n = len(np.unique(picture.reshape(-1, 3), axis=0))
    assert figure.layout.annotations[0].text.startswith(f"500 of {n:,} colours, drawn by lot")
    assert picture_in(figure.data[0]).size == (PREVIEW, round(900 * PREVIEW / 1300))


def test_the_lot_goes_by_the_pixels():
    counts = np.r_[np.full(1000, 1), np.full(10, 10_000)]
    drawn = choose_colors(counts, 100, seed=0)
    assert drawn.size == 100
    assert (np.diff(drawn) > 0).all()
    assert set(range(1000, 1010)) <= set(drawn)
    assert np.array_equal(drawn, choose_colors(counts, 100, seed=0))
    assert np.array_equal(choose_colors(counts, 1010, seed=0), np.arange(1010))


@pytest.mark.parametrize("kind", ["grey", "flat grey", "deep", "pillow", "path", "file"])
def test_pictures_of_other_kinds(kind, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    image = {
        "path": tmp_path / "a.png",
        "file": io.BytesIO((tmp_path / "a.png").read_bytes()),
        "grey": PICTURE[..., :1],
        "flat grey": PICTURE[..., 0],
        "deep": PICTURE.astype(np.uint16) * 257,
        "pillow": Image.fromarray(PICTURE),
    }[kind]
    space = "oklab" if kind == "path" else "rgb"
    figure = kf.explore(image, ks=[2], space=space)
    expected = PICTURE[..., :1].repeat(3, axis=2) if "grey" in kind else PICTURE
    result = kf.fit(expected, 2, space=space)
    shown = np.asarray(picture_in(figure.frames[1].data[0]).convert("RGB"))
    assert np.array_equal(shown, result.palette[result.labels])


def test_transparent_pixels_take_no_part():
    seen = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    seen[:20, :, 3] = 0
    figure = kf.explore(seen, ks=[3])
    result = kf.fit(PICTURE[20:], 3)
    assert figure.frames[1].data[3].y[0] == result.inertia
    alpha = np.asarray(picture_in(figure.frames[1].data[0]).convert("RGBA"))[..., 3]
    assert (alpha[:20] == 0).all()
    assert (alpha[20:] == 255).all()
    assert picture_in(figure.data[0]).convert("RGBA").getextrema()[3] == (0, 255)
    many = kf.explore(seen, ks=[256]).frames[1].data[0]
    assert (np.asarray(picture_in(many).convert("RGBA"))[:20, :, 3] == 0).all()


def test_a_picture_of_one_color():
    with pytest.warns(RuntimeWarning, match="has 1 distinct colours: the slider ends at 1"):
        figure = kf.explore(np.full((4, 6, 3), 77, np.uint8))
    assert [frame.name for frame in figure.frames] == ["original", "1"]
    bars = figure.frames[1].data[2]
    assert (list(bars.y), list(bars.marker.color)) == ([100.0], ["#4d4d4d"])
    assert figure.frames[1].data[4].marker.colorscale == ((0, "#4d4d4d"), (1, "#4d4d4d"))
    assert figure.layout.yaxis3.range[1] > 0


# ----------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (PICTURE, {"ks": []}, "ks is empty"),
        (PICTURE, {"ks": [4, 2]}, r"ks=\[4, 2\] does not increase; give sorted\(set\(ks\)\)"),
        (PICTURE, {"ks": [2, 2]}, "does not increase"),
        (PICTURE, {"ks": [0, 2]}, "ks=0"),
        (PICTURE, {"max_points": 0}, "max_points=0"),
        (PICTURE, {"space": "hsv"}, "space='hsv' is unknown"),
        (np.zeros((4, 4, 4), np.uint8), {}, "no pixel to be seen"),
        (PICTURE / 255, {}, "image has shape .* and dtype float64"),
        (PICTURE.reshape(-1, 3), {}, "image has shape"),
    ],
)
def test_what_cannot_be_explored(image, options, message):
    with pytest.raises(ValueError, match=message):
        kf.explore(image, **options)


def test_without_plotly_one_line_helps(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(
        ImportError, match=r"explore needs plotly: pip install 'kmeans_fast\[viz\]'"
    ):
        kf.explore(PICTURE)
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    out = tmp_path / "a.html"
    assert cli.main(["explore", str(tmp_path / "a.png"), "-o", str(out)]) == 2
    assert capsys.readouterr().err.startswith("kmeans-fast: error: explore needs plotly")
    assert not out.exists()


# ------------------------------------------------------------------------------------ a page


def test_the_page_needs_no_network(figure, tmp_path):
    path = tmp_path / "page.html"
    write_page(figure, path)
    page = path.read_text()
    assert "<script src" not in page
    assert "<link" not in page
    assert "Plotly.newPlot" in page
    assert 'name="viewport"' in page
    assert path.stat().st_size < 15e6
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_writes_a_page(tmp_path, capsys):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    out = tmp_path / "page.html"
    given = ["explore", str(tmp_path / "a.png"), "-o", str(out)]
    assert cli.main([*given, "-k", "2-4,9", "--space", "oklab"]) == 0
    steps = re.findall(r'"label":"(\w+)","method":"animate"', out.read_text())
    assert steps == ["original", "2", "3", "4", "9"]


# --------------------------------------------------- in a browser, from a file, without a network

KS = [2, 5]
# Where screenshots are kept, to be looked at.
KEPT = Path(os.environ.get("KMEANS_FAST_SCREENSHOTS", "screenshots"))
# Resolves when the plot has been drawn again after the slider was put to a step.
PUT_SLIDER = """
const [step, done] = arguments;
const plot = document.querySelector('.js-plotly-plot');
Plotly.animate(plot, [step], {mode: 'immediate', frame: {duration: 0, redraw: true},
                              transition: {duration: 0}}).then(() => setTimeout(done, 300));
"""
STATE = """
const plot = document.querySelector('.js-plotly-plot');
const [image, own, bars, curve, at, clusters] = plot._fullData;
const scatter = own.visible ? own : clusters;
return {image: image.source.length, colors: Array.from(scatter.marker.color).slice(0, 50).join(),
        points: scatter.x.length, bars: Array.from(bars.y || []).length, at: Array.from(at.x || []),
        title: plot._fullLayout.title.text, width: plot.clientWidth,
        domain: plot._fullLayout.scene.domain.x};
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(kf.explore(PICTURE, ks=KS), path)
    return path


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no chromium or no chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--window-size=1280,960",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
    driver.set_script_timeout(60)
    # Whatever is not a file fails, as without a network.
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["http://*", "https://*"]})
    yield driver
    driver.quit()


def screenshot(driver, name):
    KEPT.mkdir(exist_ok=True)
    data = driver.get_screenshot_as_png()
    (KEPT / f"{name}.png").write_bytes(data)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def open_page(driver, page):
    driver.get(page.as_uri())
    driver.execute_async_script(
        "const done = arguments[0];"
        "const wait = () => document.querySelector('.js-plotly-plot .gl-container canvas')"
        " && document.querySelector('.js-plotly-plot')._transitionData._frames.length"
        " ? setTimeout(done, 300)"
        " : setTimeout(wait, 50);"
        "wait();"
    )


def test_the_slider_changes_picture_scatter_and_palette(page, browser):
    open_page(browser, page)
    first = browser.execute_script(STATE)
    assert first["points"] == len(np.unique(PICTURE.reshape(-1, 3), axis=0))
    assert first["title"].startswith("original")
    assert first["bars"] == 0
    shots, states = [screenshot(browser, "explore-original")], [first]
    for k in KS:
        browser.execute_async_script(PUT_SLIDER, str(k))
        states.append(browser.execute_script(STATE))
        shots.append(screenshot(browser, f"explore-{k}"))
        assert states[-1]["bars"] == k
        assert states[-1]["at"] == [k]
        assert states[-1]["title"].startswith(f"K = {k},")
    for before, after in zip(states, states[1:], strict=False):
        assert before["image"] != after["image"]
        assert before["colors"] != after["colors"]
    height, width = shots[0].shape[:2]
    for before, after in zip(shots, shots[1:], strict=False):  # to be seen, in each part
        changed = np.abs(before - after).sum(axis=2) > 30
        assert changed[: height // 2, : width // 2].mean() > 0.02  # the picture
        assert changed[: height // 2, width // 2 :].mean() > 0.001  # the scatter
    palette = kf.fit(PICTURE, KS[-1]).palette
    left = shots[-1][: height // 2, : width // 2].reshape(-1, 3)
    for color in palette.astype(int):  # the picture is painted in the fitted colours
        assert (np.abs(left - color).max(axis=1) <= 1).sum() > 50
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []

    from selenium.webdriver import ActionChains

    # A click on the end of the slider, after the last step of which it goes back to the first.
    browser.execute_async_script(PUT_SLIDER, "original")
    rail = browser.find_elements("css selector", ".slider-rail-touch-rect")[-1].rect
    x, y = int(rail["x"] + rail["width"] - 12), int(rail["y"] + rail["height"] / 2)
    ActionChains(browser).move_by_offset(x, y).click().perform()
    browser.execute_async_script("setTimeout(arguments[0], 500)")
    assert browser.execute_script(STATE)["at"] == [KS[-1]]

    browser.set_window_size(500, 1000)  # a narrow screen: one column
    browser.execute_async_script("setTimeout(arguments[0], 700)")
    state = browser.execute_script(STATE)
    screenshot(browser, "explore-narrow")
    assert state["width"] < NARROW
    assert state["domain"] == [0, 1]


def test_a_narrow_screen_has_one_column_from_the_start(page, browser):
    browser.set_window_size(500, 1000)
    open_page(browser, page)
    state = browser.execute_script(STATE)
    assert state["domain"] == [0, 1]
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= state["width"] + 20  # nothing to scroll sideways for
