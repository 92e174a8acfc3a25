"""The explorer's page in a real browser: Chromium without a window, driven by selenium."""

import shutil
import threading

import pytest

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from mpimpy import explore  # noqa: E402
from mpimpy.explorer._server import Server  # noqa: E402

PROGRAMS = [shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")]
FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1200,900")
DOT = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TINY = "M=4&K=64&N=4"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(None in PROGRAMS, reason="Chromium and its driver are not installed"),
]


@pytest.fixture(scope="module")
def server():
    drawn = [{"title": "Dot", "alt": "A dot", "png": DOT}, {"title": "None", "alt": "None", "note": "not here"}]

    def compute(settings, pictures, check):
        return explore(settings, pictures=False, check=check) | {"pictures": drawn if pictures else []}

    with Server(0, compute) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS[0]
    for flag in FLAGS:
        options.add_argument(flag)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(PROGRAMS[1])) as found:
        yield found


class Page:
    """The page at given settings."""

    def __init__(self, browser, url, link):
        self.browser = browser
        browser.get("about:blank")
        browser.get(f"{url}#{link}")
        self.wait()

    def wait(self, state="done"):
        body = self.browser.find_element(By.TAG_NAME, "body")
        WebDriverWait(self.browser, 300, 0.02).until(lambda _: body.get_attribute("data-state") == state)

    def part(self, name):
        return self.browser.find_element(By.ID, name)

    def link(self):
        return self.browser.current_url.partition("#")[2]


@pytest.fixture
def open_page(browser, server):
    return lambda link=TINY: Page(browser, server.url, link)


def decibels(**settings):
    return f"{explore({'M': 4, 'K': 64, 'N': 4, **settings}, pictures=False)['snr_dB']:.2f} dB"


def test_a_slider_moves_by_keys_and_the_link_keeps_it(open_page, capsys):
    page = open_page()
    assert page.part("snr").text == decibels()
    assert page.part("pictures").text == "Dot\nNone: not here"
    assert page.browser.execute_script("return document.images[0].naturalWidth") == 1
    slider = page.part("c-radc")
    for _ in range(3):  # faster than products are computed: the last one counts
        slider.send_keys(Keys.ARROW_RIGHT)
    page.wait()
    assert page.part("snr").text == decibels(radc=2048)
    assert slider.get_attribute("aria-valuetext") == "2048"
    assert page.link() == "M=4&K=64&N=4&radc=2048"
    exec(page.part("code").text, {})
    assert f"SNR                {page.part('snr').text}" in capsys.readouterr().out
    again = open_page(page.link())
    assert again.part("snr").text == decibels(radc=2048)
    again.part("c-w_mapping").send_keys("p")
    again.wait()
    assert again.part("snr").text == decibels(radc=2048, w_mapping="pair")


def test_bad_settings_are_told_in_words_and_the_rest_stays(open_page):
    page = open_page()
    before = page.part("snr").text
    slices = page.part("c-w_slices")
    slices.clear()
    slices.send_keys("1, 7")
    page.wait("error")
    assert page.part("error").text.startswith("weight slice of 7 bits needs 128 levels but g_level=16")
    assert page.part("snr").text == before
    slices.clear()
    slices.send_keys("1, 2")
    page.wait()
    assert not page.part("error").is_displayed()
    assert page.part("snr").text == decibels(w_slices=(1, 2))


def test_a_strange_link_is_told_and_a_preset_rules_its_own_settings(open_page):
    page = open_page(f"{TINY}&preset=%22pcm-joshi%22&age=%2230+d%22&radc=77&foo=%3Cb%3E")
    assert page.part("error").text.endswith("does not know: radc=77, foo=<b>")
    assert page.part("snr").text == decibels(preset="pcm-joshi", age="30 d")
    assert not page.part("c-var").is_enabled()
    assert page.part("c-g_level").is_enabled()
    assert "drift" in page.part("budget").text


def test_phone_width_and_dark_mode(open_page, browser):
    page = open_page()
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(colour)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    assert (light, browser.execute_script(colour)) == ("rgb(255, 255, 255)", "rgb(20, 23, 27)")
    phone = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 360
    # the SNR stays in view beside the last slider
    browser.execute_script("document.getElementById('c-w_quant_gran').scrollIntoView()")
    assert 0 < browser.execute_script("return document.getElementById('snr').getBoundingClientRect().bottom") < 100
    assert page.part("copy-code").is_displayed()
    requests = browser.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert all(name.startswith(browser.current_url.partition("#")[0]) for name in requests)
