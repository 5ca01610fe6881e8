"""The page of `explore` in a browser, from a file, without a network."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast.page import NARROW, write_page

from .pictures import photograph

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no chromium or no chromedriver on the PATH"
)

PICTURE = photograph(60, 80)
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
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--use-gl=angle", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--window-size=1280,960",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
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

    # A click on the end of the slider, after the last step of which it goes back to the first.
    browser.execute_async_script(PUT_SLIDER, "original")
    rail = browser.find_elements("css selector", ".slider-rail-touch-rect")[-1].rect
    x, y = int(rail["x"] + rail["width"] - 12), int(rail["y"] + rail["height"] / 2)
    webdriver.ActionChains(browser).move_by_offset(x, y).click().perform()
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
