"""The page that shows a picture and its colours in space."""

import base64
import html
import io
import json
import os
import pickle
import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli
from kmeans_fast.exploring import PREVIEW, choose_colors
from kmeans_fast.page import write_page

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
    result = kf.fit(PICTURE, k, refine=1)
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
    assert list(curve.y) == [kf.fit(PICTURE, k, refine=1).inertia for k in (1, 3, 8)]


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
    result = kf.fit(expected, 2, space=space, refine=1)
    shown = np.asarray(picture_in(figure.frames[1].data[0]).convert("RGB"))
    assert np.array_equal(shown, result.palette[result.labels])


def test_transparent_pixels_take_no_part():
    seen = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    seen[:20, :, 3] = 0
    figure = kf.explore(seen, ks=[3])
    result = kf.fit(PICTURE[20:], 3, refine=1)
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


def test_without_any_k_the_picture_is_beside_its_colors():
    figure = kf.explore(PICTURE, ks=[])
    assert [frame.name for frame in figure.frames] == ["original"]
    assert (figure.data[1].visible, figure.data[5].visible) == (True, False)
    assert len(figure.layout.sliders) == 0
    assert figure.layout.yaxis.domain == figure.layout.scene.domain.y == (0, 1)


# ----------------------------------------------------------------------------- in a notebook


def still_of(figure):
    return np.asarray(
        Image.open(io.BytesIO(base64.b64decode(figure._repr_mimebundle_()["image/png"])))
        .convert("RGB")
    ).astype(int)  # fmt: skip


def test_a_notebook_shows_the_page_and_elsewhere_a_still_of_it(figure):
    formatter = pytest.importorskip("IPython.core.formatters", reason="IPython is not installed")
    for each in (figure, pickle.loads(pickle.dumps(figure))):
        assert formatter.IPythonDisplayFormatter()(each) is not True  # the bundle is asked for
        bundle = each._repr_mimebundle_()
        assert bundle["text/plain"].startswith("A picture beside its colours: 80 x 60 pixels, ")
        assert bundle["text/html"].count(bundle["image/png"]) == 1
        (page,) = re.findall('srcdoc="([^"]*)"', bundle["text/html"])
        assert html.unescape(page).startswith('<!DOCTYPE html>\n<html lang="en" class="embedded">')
        assert len(bundle["image/png"]) < 2e5


@pytest.mark.parametrize("kind", ["picture", "no k", "flat", "grey", "seen in part", "strip"])
def test_the_still_has_the_picture_on_the_left_and_its_colors_on_the_right(kind):
    picture = {
        "flat": np.full((4, 6, 3), (200, 30, 40), np.uint8),
        "grey": PICTURE[..., 0],
        "seen in part": np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)]),
        "strip": photograph(300, 4).transpose(1, 0, 2),
    }.get(kind, PICTURE)
    if kind == "seen in part":
        picture[:, 40:, 3] = 0
    still = still_of(kf.explore(picture, ks={"no k": [], "flat": [1]}.get(kind, [2, 7, 40])))
    paper = still[0, 0]
    assert (paper > 250).all()
    for half in (still[:700, 40:710], still[:700, 780:1470]):
        assert (np.abs(half - paper).max(axis=2) > 40).mean() > 0.005
    assert len(still) == (740 if kind == "no k" else 796)
    if kind == "picture":  # in 7 colours from its middle on, and below them each by its share
        palette = kf.fit(PICTURE, 7, refine=1).palette.astype(int)
        for some in (still[100:300, 440:640], still[740:764, 40:1460]):
            apart = np.abs(some.reshape(-1, 1, 3) - palette).max(axis=2).min(axis=1)
            assert (apart <= 3).mean() > 0.95


def test_a_figure_that_is_no_more_of_explore_shows_itself_as_plotly_does(figure):
    other = pickle.loads(pickle.dumps(figure))
    other.frames = ()
    assert "srcdoc" not in other._repr_mimebundle_().get("text/html", "")


# ----------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
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


def data_of(path):
    """Return what the script of a page reads."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', read(path))
    return json.loads(found)


def read(path):
    return path.read_text(encoding="utf-8")


def test_the_page_needs_no_network(figure, tmp_path):
    path = tmp_path / "page.html"
    write_page(figure, path)
    page = read(path)
    assert not re.search(r"<script [^>]*src|@import|url\(|https?://(?!www\.w3\.org/2000/svg)", page)
    assert re.findall("<link.*?>", page) == ['<link rel="icon" href="data:,">']
    assert 'name="viewport"' in page
    assert path.stat().st_size < 10e6
    assert list(tmp_path.iterdir()) == [path]


def test_the_page_has_the_fits_of_the_figure(figure, tmp_path):
    write_page(figure, tmp_path / "page.html")
    data = data_of(tmp_path / "page.html")
    assert (data["width"], data["height"], data["flat"]) == (80, 60, False)
    colors = np.frombuffer(base64.b64decode(data["places"]), np.uint8).reshape(-1, 3)
    assert np.array_equal(np.unique(PICTURE.reshape(-1, 3), axis=0), np.unique(colors, axis=0))
    sizes = np.frombuffer(base64.b64decode(data["sizes"]), np.uint8)
    assert sizes / 16 == pytest.approx(figure.data[1].marker.size, abs=0.07)
    for k, view in zip([1, 3, 8], data["views"], strict=True):
        result = kf.fit(PICTURE, k, refine=1)
        labels = np.frombuffer(base64.b64decode(view["labels"]), np.uint8)
        painted = [view["palette"][label] for label in labels]
        assert painted == [f"#{bytes(c).hex()}" for c in result.palette[result.predict(colors)]]
        assert (view["k"], len(view["palette"])) == (k, k)
        assert sum(view["shares"]) == pytest.approx(1)
        assert view["error"] == result.inertia / kf.fit(PICTURE, 1).inertia


def test_errors_are_relative_and_labels_go_beyond_a_byte(tmp_path):
    write_page(kf.explore(PICTURE, [2, 300], space="oklab"), tmp_path / "page.html")
    two, many = data_of(tmp_path / "page.html")["views"]
    variance = kf.fit(PICTURE, 1, space="oklab").inertia
    assert two["error"] == kf.fit(PICTURE, 2, space="oklab", refine=1).inertia / variance
    labels = np.frombuffer(base64.b64decode(many["labels"]), "<u2")
    assert labels.max() == 299


def test_the_command_writes_a_page(tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    out = tmp_path / "page.html"
    given = ["explore", str(tmp_path / "a.png"), "-o", str(out)]
    assert cli.main([*given, "-k", "2-4,9", "--space", "oklab"]) == 0
    assert [view["k"] for view in data_of(out)["views"]] == [2, 3, 4, 9]
    assert "<title>a.png: its colours</title>" in read(out)


HOSTILE = "<script>alert(1)<!-- &amp; $title \udcff.png"


@pytest.mark.skipif(os.name == "nt", reason="names of POSIX")
@pytest.mark.parametrize("by", ["path", "command", "title"])
def test_a_name_is_text(by, tmp_path, figure):
    file, out = tmp_path / HOSTILE, tmp_path / "page.html"
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    os.rename(tmp_path / "a.png", file)
    if by == "path":
        write_page(kf.explore(file, [2]), out)
    elif by == "command":
        assert cli.main(["explore", str(file), "-k", "2", "-o", str(out)]) == 0
    else:
        write_page(figure, out, title=HOSTILE)
    heading = html.escape(HOSTILE.replace("\udcff", "?"))
    assert f"<h1>{heading}</h1>" in read(out)
    assert "<script>alert" not in read(out)
    assert len(data_of(out)["views"]) > 0


def test_without_a_file_the_page_has_a_title_of_its_own(figure, tmp_path):
    write_page(figure, tmp_path / "page.html")
    assert "<title>A picture and its colours</title>" in read(tmp_path / "page.html")


def test_a_copy_has_the_page_of_the_figure(figure, tmp_path):
    for name, each in (("a", figure), ("b", pickle.loads(pickle.dumps(figure)))):
        write_page(each, tmp_path / name)
    assert data_of(tmp_path / "a") == data_of(tmp_path / "b")


def test_a_figure_of_another_kind_is_refused(figure, tmp_path):
    go = pytest.importorskip("plotly.graph_objects")
    for other in (go.Figure(), go.Figure(frames=figure.frames), go.Figure(data=figure.data)):
        with pytest.raises(ValueError, match="figure is none of `explore`"):
            write_page(other, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------- in a browser, from a file, without a network

KS = [1, 2, 5, 8, 16, 64]
# Where screenshots are kept, to be looked at.
KEPT = Path(os.environ.get("KMEANS_FAST_SCREENSHOTS", "screenshots"))
# What the page shows, and how often WebGL has drawn: a drawing is a call for each of three layers.
STATE = """
const text = (id) => document.getElementById(id).textContent;
const box = (id) => document.getElementById(id).getBoundingClientRect().toJSON();
const swatches = [...document.querySelectorAll('#palette button')];
return {k: text('k'), painted: document.getElementById('painted').src, error: text('stated'),
        said: document.getElementById('slider').getAttribute('aria-valuetext'),
        palette: swatches.map((swatch) => swatch.dataset.hex),
        shown: swatches.filter((swatch) => swatch.innerText.includes('#')).length,
        split: Number(document.getElementById('handle').getAttribute('aria-valuenow')),
        drawn: window.drawn / 3, toast: text('toast'), paper: getComputedStyle(document.body).backgroundColor,
        picture: box('picture'), space: box('space'), slider: box('slider'), frame: box('frame'),
        colors: box('colors'), wide: document.documentElement.scrollWidth, inner: window.innerWidth,
        unnamed: [...document.querySelectorAll('button, input, [tabindex], section, svg[role], img')].filter(
          (item) => !(item.getAttribute('aria-label') || item.textContent.trim() || item.alt)).length};
"""  # noqa: E501
COUNTING = """
window.drawn = 0;
const draw = WebGL2RenderingContext.prototype.drawArrays;
WebGL2RenderingContext.prototype.drawArrays = function (...given) {
  window.drawn += 1;
  draw.apply(this, given);
};
Object.defineProperty(navigator, 'clipboard', {value: {writeText: (text) => {
  window.copied = text;
  return Promise.resolve();
}}});
"""
# Through all steps of the slider, each until it is to be seen.
STEPS = """
const done = arguments[0], slider = document.getElementById('slider');
const step = (at) => {
  if (at > Number(slider.max)) return done();
  slider.value = at;
  slider.dispatchEvent(new Event('input', {bubbles: true}));
  const seen = () => requestAnimationFrame(() => setTimeout(() => step(at + 1), 0));
  document.getElementById('painted').decode().then(seen);
};
step(0);
"""
# Whatever hangs over the edge of the window or of its card, or over a neighbour.
CLIPPED = """
const outside = [...document.querySelectorAll('main *, header *, footer *')].filter((item) => {
  const box = item.getBoundingClientRect();
  return box.width && (box.left < 0 || box.right > window.innerWidth + 0.5);
});
const texts = '#palette button, #palette small, .note, h1, .bar button';
const cut = [...document.querySelectorAll(texts)]
  .filter((item) => item.scrollWidth > item.clientWidth + 1);
const parts = [...document.querySelectorAll('.card, .bar > *, #palette li')];
const boxes = parts.map((item) => item.getBoundingClientRect());
const over = parts.filter((item, i) => boxes.some((box, j) => j !== i
  && !item.contains(parts[j]) && !parts[j].contains(item) && box.width && boxes[i].width
  && box.left < boxes[i].right - 1 && box.right > boxes[i].left + 1
  && box.top < boxes[i].bottom - 1 && box.bottom > boxes[i].top + 1));
return [...outside, ...cut, ...over].map((item) => item.outerHTML.slice(0, 80));
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(kf.explore(photograph(400, 600), ks=KS), path, title="<i>holiday</i>.jpg")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no chromium or no chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--window-size=1400,900", "--hide-scrollbars",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
    driver.set_script_timeout(60)
    # Whatever is not a file fails, as without a network.
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["http://*", "https://*"]})
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": COUNTING})
    yield driver
    driver.quit()


def screenshot(driver, name):
    KEPT.mkdir(exist_ok=True)
    data = driver.get_screenshot_as_png()
    (KEPT / f"{name}.png").write_bytes(data)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def go_to(driver, page, width=1400, height=900, scheme="light"):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    driver.get(page.as_uri())


def open_page(driver, page, *size_and_scheme):
    go_to(driver, page, *size_and_scheme)
    return state_of(driver)


def state_of(driver, wait=150):
    frames = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
    driver.execute_async_script(f"setTimeout(() => {frames}, {wait})")
    return driver.execute_script(STATE)


def press(driver, *keys):
    from selenium.webdriver import ActionChains

    ActionChains(driver).send_keys(*keys).perform()
    return state_of(driver)


def inside(box, shot):
    x, y, right, bottom = (int(box[at]) for at in ("left", "top", "right", "bottom"))
    return shot[y:bottom, x:right]


def test_the_slider_changes_picture_cloud_and_palette(page, browser):
    first = open_page(browser, page)
    assert browser.title == "<i>holiday</i>.jpg: its colours"
    assert (first["k"], len(first["palette"]), first["unnamed"]) == ("K = 8", 8, 0)
    # Side by side above the fold, the slider below the picture.
    assert first["picture"]["top"] == first["space"]["top"]
    assert first["picture"]["right"] < first["space"]["left"]
    assert first["space"]["bottom"] < 900
    assert 0 < first["slider"]["top"] - first["frame"]["bottom"] < 40
    before = screenshot(browser, "explore-8")
    slider = browser.find_element("id", "slider")
    slider.send_keys("\ue012")  # an arrow to the left
    state = state_of(browser)
    assert (state["k"], len(state["palette"])) == ("K = 5", 5)
    assert state["said"].startswith("5 colours, ")
    assert state["error"].endswith(" % of the variance is lost")
    assert state["painted"] != first["painted"]
    after = screenshot(browser, "explore-5")
    for part, least in (("frame", 0.02), ("space", 0.001), ("colors", 0.02)):
        changed = np.abs(inside(first[part], before) - inside(first[part], after)).sum(axis=2) > 15
        assert changed.mean() > least, part
    palette = kf.fit(photograph(400, 600), 5, refine=1).palette
    expected = {f"#{bytes(color).hex()}" for color in palette}
    assert set(state["palette"]) == expected
    right = inside(first["frame"], after)[:, int(first["frame"]["width"] * 0.6) :].reshape(-1, 3)
    # The picture is painted in the fitted colours, and blended only where two of them meet.
    apart = np.abs(right[:, None] - palette.astype(int)).max(axis=2).min(axis=1)
    assert (apart <= 1).mean() > 0.7
    browser.execute_async_script(STEPS)  # 60 ms each, WebGL in software on two cores that work
    state = state_of(browser)
    assert (state["k"], len(state["palette"]), state["shown"]) == ("K = 64", 64, 0)  # no smear
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_a_cloud_that_the_system_took_away_comes_back(page, browser):
    box = open_page(browser, page)["space"]
    before = inside(box, screenshot(browser, "explore-8"))
    browser.execute_async_script("""
        const canvas = document.querySelector('canvas');
        const context = canvas.getContext('webgl2').getExtension('WEBGL_lose_context');
        const restore = () => setTimeout(() => context.restoreContext());
        canvas.addEventListener('webglcontextlost', restore);
        canvas.addEventListener('webglcontextrestored', arguments[0]);
        context.loseContext();
    """)
    state_of(browser)
    after = inside(box, screenshot(browser, "explore-8-again"))
    assert np.array_equal(before, after)


def test_everything_goes_by_the_keyboard(page, browser):
    left, right, space, end = "\ue012", "\ue014", " ", "\ue010"
    open_page(browser, page)
    assert press(browser, right)["k"] == "K = 16"
    assert press(browser, left, left)["k"] == "K = 5"
    play = browser.find_element("id", "play")
    press(browser, space)
    assert play.get_attribute("aria-label") == "Stop"
    time.sleep(1)
    assert browser.execute_script(STATE)["k"] in ("K = 8", "K = 16")
    press(browser, space)
    assert play.get_attribute("aria-label") == "Play"
    before = state_of(browser)
    browser.execute_script("document.getElementById('handle').focus()")
    after = press(browser, right)
    assert (after["k"], after["split"]) == (before["k"], 55)
    assert press(browser, end)["split"] == 100
    # Nothing else is drawn again, and the turntable draws all the time.
    assert state_of(browser)["drawn"] == before["drawn"] > 0
    press(browser, "t")
    assert state_of(browser)["drawn"] > before["drawn"]
    press(browser, "t")
    still = state_of(browser)["drawn"]
    assert state_of(browser)["drawn"] == still
    browser.execute_script("document.getElementById('cloud').focus()")
    turned = press(browser, right)
    assert (turned["k"], turned["drawn"]) == (before["k"], still + 1)
    # Each thing to press can be reached: Tab goes through them all.
    open_page(browser, page)
    reached = set()
    for _ in range(8):
        press(browser, "\ue004")
        reached.add(browser.execute_script("return document.activeElement.id"))
    assert {"handle", "play", "slider", "peek", "cloud", "turntable", "copy-all"} <= reached


def test_original_and_painted_are_compared(page, browser):
    from selenium.webdriver import ActionChains

    before = open_page(browser, page)
    assert before["split"] == 50
    frame = browser.find_element("id", "frame")
    quarter = int(before["frame"]["width"] / 4)
    move = ActionChains(browser).move_to_element(frame).click_and_hold()
    move.move_by_offset(quarter, 0).release().perform()
    after = state_of(browser)
    assert after["split"] == pytest.approx(75, abs=1)
    assert (after["drawn"], after["k"]) == (before["drawn"], before["k"])
    shown = browser.execute_script("return getComputedStyle(original).clipPath")
    ActionChains(browser).key_down("o").perform()
    held = browser.execute_script("return getComputedStyle(original).clipPath")
    assert state_of(browser)["drawn"] > after["drawn"]  # the cloud's own colours
    ActionChains(browser).key_up("o").perform()
    assert held != shown == browser.execute_script("return getComputedStyle(original).clipPath")
    peek = browser.find_element("id", "peek")
    ActionChains(browser).click_and_hold(peek).perform()
    assert browser.execute_script("return getComputedStyle(original).clipPath") == held
    ActionChains(browser).release().perform()
    assert browser.execute_script("return getComputedStyle(original).clipPath") == shown


def test_a_click_copies(page, browser):
    state = open_page(browser, page)
    swatch = browser.find_elements("css selector", "#palette button")[2]
    swatch.click()
    assert state_of(browser)["toast"] == f"{state['palette'][2]} copied"
    assert browser.execute_script("return window.copied") == state["palette"][2]
    assert state["palette"][2] in swatch.text and "%" in swatch.text
    assert re.fullmatch(r"Copy #\w{6}, [\d.]+ %, [a-z ]+", swatch.get_attribute("aria-label"))
    browser.find_element("id", "copy-all").click()
    assert browser.execute_script("return window.copied").split() == state["palette"]
    # Where a page may not write to the clipboard, the old way is taken.
    browser.execute_script(
        "navigator.clipboard.writeText = () => Promise.reject(new Error('no'));"
        "document.addEventListener('copy', () => { window.copied = String(getSelection()) || "
        "document.activeElement.value; });"
    )
    swatch.click()
    state_of(browser)
    assert browser.execute_script("return window.copied") == state["palette"][2]


def test_dark_and_light_by_the_systems_preference(page, browser):
    light = open_page(browser, page)
    dark = open_page(browser, page, 1400, 900, "dark")
    for state, least, most in ((light, 230, 255), (dark, 0, 40)):
        assert all(least <= int(part) <= most for part in re.findall(r"\d+", state["paper"]))
    shot = screenshot(browser, "explore-dark")
    assert np.median(inside(dark["space"], shot)) < 60
    # A change is followed while the page is open.
    features = [{"name": "prefers-color-scheme", "value": "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    state = state_of(browser)
    assert state["paper"] == light["paper"]
    assert state["drawn"] > dark["drawn"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 800, 1400])
def test_nothing_is_clipped_or_overlaps(page, browser, width, scheme):
    for k in KS:
        browser.get("about:blank")
        state = open_page(browser, page, width, 900, scheme)
        browser.execute_script(f"show(views.findIndex((view) => view.k === {k}))")
        assert state["wide"] == state["inner"] == width
        assert browser.execute_script(CLIPPED) == [], k
        if k == 16:
            screenshot(browser, f"explore-{width}-{scheme}")
    one_column = state["space"]["top"] >= state["picture"]["bottom"]
    assert one_column == (width < 700)
    assert state["slider"]["bottom"] < 900


@pytest.mark.parametrize("kind", ["flat", "grey", "portrait", "strip"])
def test_pictures_of_any_kind_make_a_page(kind, browser, tmp_path):
    picture = {
        "flat": np.full((4, 6, 3), 77, np.uint8),
        "grey": PICTURE[..., 0],
        "portrait": photograph(90, 30),
        "strip": photograph(300, 4).transpose(1, 0, 2),
    }[kind]
    out = tmp_path / "page.html"
    write_page(kf.explore(picture, [1] if kind == "flat" else [1, 2, 4]), out)
    for width in (390, 1400):
        state = open_page(browser, out, width)
        screenshot(browser, f"explore-{kind}-{width}")
        assert browser.execute_script(CLIPPED) == []
        if kind == "flat":
            assert (state["palette"], state["error"]) == (
                ["#4d4d4d"],
                "one colour, painted exactly",
            )
            assert not browser.find_element("id", "play").is_enabled()
            assert press(browser, " ", "\ue014")["k"] == "K = 1"
        elif kind == "grey":
            assert all(hex[1:3] == hex[3:5] == hex[5:] for hex in state["palette"])
        assert state["frame"]["height"] <= 540
        assert state["slider"]["bottom"] < 900
        height, wide = picture.shape[:2]
        ratio = state["frame"]["width"] / state["frame"]["height"]
        assert ratio == pytest.approx(wide / height, rel=0.1)
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


COLUMN = '<body style="margin: 0"><div style="width: {}px; margin: 0 auto">{}</div><p>end'
BOXES = """
const frame = document.querySelector('iframe');
return [frame.parentElement, frame, document.querySelector('p')].map(
  (item) => item.getBoundingClientRect().toJSON());
"""


@pytest.mark.parametrize("width", [390, 750, 1400])
@pytest.mark.parametrize("ks", [[], KS])
def test_in_a_column_all_of_it_is_seen(ks, width, browser, tmp_path):
    shown = kf.explore(photograph(400, 600), ks=ks)._repr_mimebundle_()["text/html"]
    (tmp_path / "notebook.html").write_text(COLUMN.format(width, shown), encoding="utf-8")
    go_to(browser, tmp_path / "notebook.html", max(width, 800))
    browser.switch_to.frame(browser.find_element("css selector", "iframe"))
    inner = state_of(browser)
    browser.switch_to.default_content()
    screenshot(browser, f"notebook-{width}-{len(ks)}")
    holder, frame, end = browser.execute_script(BOXES)
    assert holder["width"] == frame["width"] == min(width, 1000)
    assert frame["bottom"] == holder["bottom"] <= end["top"]
    browser.switch_to.frame(browser.find_element("css selector", "iframe"))
    assert inner["wide"] == frame["width"]
    height = browser.execute_script("return document.documentElement.scrollHeight")
    assert height == pytest.approx(holder["height"], abs=1)  # nothing to scroll in it
    assert browser.execute_script(CLIPPED) == []
    assert inner["drawn"] > 0
    if ks:
        assert inner["k"] == "K = 8"
        assert inner["slider"]["bottom"] < 420  # picture and slider together
        assert inner["slider"]["width"] > 100
        for k in range(len(KS)):
            browser.execute_script(f"show({k})")
            assert browser.execute_script(CLIPPED) == [], KS[k]
    elif width > 600:
        assert inner["picture"]["top"] == inner["space"]["top"]
        press(browser, "\ue014", " ", "o")
        assert browser.execute_script("return getComputedStyle(original).clipPath") in (
            "inset(0px)",
            "inset(0px 0% 0px 0px)",
        )
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.switch_to.default_content()
    assert errors == []
