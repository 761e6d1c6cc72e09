"""The page in a real browser: it loads alone, and does what it says."""

import json
import re
import shutil

import numpy as np
import pytest

import optim
from experiments import cli
from experiments.page import build
from minigrad import Tensor
from optim.named import NamedRule
from tests.driving import host_only
from tests.page import cases

pytestmark = [host_only, pytest.mark.xdist_group("page-browser")]


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; skips, with the reason, where none can be had."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no Chromium starts: {str(error).splitlines()[0]}")
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page of two quick runs."""
    folder = tmp_path_factory.mktemp("page")
    runs = ["theorem-1", "landscapes"]
    assert cli.main(["run", *runs, "--quick", "--out", str(folder / "runs"), "--workers", "1"]) == 0
    (folder / "index.html").write_text(build.build([folder / "runs"]), "utf-8")
    return (folder / "index.html").as_uri()


@pytest.fixture
def opened(browser, address):
    """A function that opens the page at a hash; what it complains of or asks for fails the test."""
    contexts, complaints = [], []

    def at(fragment="", width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:", "blob:"))
                or complaints.append(request.url)
            ),
        )
        page.goto(f"{address}{fragment}")
        return page

    yield at
    for context in contexts:
        context.close()
    assert complaints == []


QUICK = "#lab?steps=20000"


def fragment(page):
    """The address behind its file, which Playwright learns of late."""
    return page.evaluate("location.hash")


def settled(page):
    """Wait until the lab has played all of its steps."""
    page.wait_for_function("document.getElementById('speed').textContent.includes(' s here')")


def test_loads_from_a_file_without_an_error_or_a_request(opened):
    page = opened(QUICK)
    settled(page)
    assert page.title() == "Why Adam can fail to converge"
    for figure in ("x", "regret", "map", "microscope", "plane", "heights"):
        assert page.locator(f"#{figure} svg").count() >= 1, figure
    page.locator("#deeper summary").click()
    assert page.locator("#gamma svg").count() == 1
    assert page.locator("svg[role=img]:not([aria-label]), svg[aria-label='']").count() == 0
    assert all("Adam" in one.get_attribute("alt") for one in page.locator("#claims img").all())


def test_a_million_steps_of_six_rules_are_drawn_from_a_thousand_points_at_most(opened):
    page = opened("#lab?rules=Adam,AMSGrad,PaperAdam,LeakyAMSGrad,AdamNC,AdaGrad")
    settled(page)
    curves = [one.get_attribute("d") for one in page.locator("#x .curve").all()]
    seen = [curve.count("L") for curve in curves]
    assert len(seen) == 6 and all(100 < points <= 1000 for points in seen)
    assert "1,000,000 steps of 6 rules" in page.locator("#speed").inner_text()


def test_forty_random_settings_have_the_bits_of_python(opened):
    rng = np.random.default_rng(1412)
    tried = [cases.random_case(rng, cases.EXACT, cases.EXACT_SCHEDULES, 10_000) for _ in range(40)]
    page = opened(QUICK)
    settled(page)
    page.add_script_tag(content=cases.DRIVE)
    for case, got in zip(tried, page.evaluate(f"lastStates({json.dumps(tried)})"), strict=True):
        expected = {k: a.tobytes().hex() for k, a in cases.last_state(case).items()}
        assert got == {"error": None, "state": expected}, case


def test_what_browsers_round_agrees_to_nine_digits_and_is_named(opened):
    rng = np.random.default_rng(1609)
    rules = [(cases.INEXACT, cases.EXACT_SCHEDULES), (cases.EXACT, cases.INEXACT_SCHEDULES)]
    tried = [cases.random_case(rng, *both, 1_000) for both in rules for _ in range(20)]
    page = opened("#lab?steps=2000")
    settled(page)
    page.add_script_tag(content=cases.DRIVE)
    for case, got in zip(tried, page.evaluate(f"lastStates({json.dumps(tried)})"), strict=True):
        expected, found = cases.last_state(case), cases.numbers(got["state"])
        assert got["error"] is None and expected.keys() == found.keys()
        for key, array in expected.items():
            np.testing.assert_allclose(found[key], array, rtol=1e-9, err_msg=f"{key}: {case}")
    said = page.locator("#lab").text_content()
    named = said[said.index("in the last digit") :] if "in the last digit" in said else said
    named = " ".join(named.split())
    for name in (*cases.INEXACT, *cases.LAB.rounded("schedules")):
        assert re.search(rf"[ ,]{re.escape(name)}[,. ]", named), name
    assert {"NAdam", "Padam", "NosAdam", "ADOPT"} <= {*cases.INEXACT}
    assert {"Power", "Exponential", "Cosine"} <= {*cases.INEXACT_SCHEDULES}
    assert "ReduceOnPlateau is not here, since it is no function of t" in named


def test_every_control_has_a_name(opened):
    page = opened(QUICK)
    for summary in page.locator("#online-form summary").all():
        summary.click()
    named = "one.ariaLabel || [...one.labels ?? []].some(label => label.textContent.trim())"
    controls = "[...document.querySelectorAll('input, select')]"
    assert page.evaluate(f"{controls}.length") > 50
    assert page.evaluate(f"{controls}.filter(one => !({named})).map(one => one.outerHTML)") == []


def test_dragging_beta2_tells_another_story(opened):
    page = opened(QUICK)
    told = "Adam climbs towards +1, the worst point; AMSGrad falls towards −1, the best"
    assert told in page.locator("#verdict").inner_text()
    assert "Adam 0.0723 down, 0.0922 up" in page.locator("#microscope figcaption").inner_text()
    slider = page.locator("input[type=range][data-key=beta2]")
    slider.focus()
    page.keyboard.press("End")
    assert float(page.locator("input[type=number][data-key=beta2]").input_value()) > 0.99999
    assert "Adam and AMSGrad fall towards −1" in page.locator("#verdict").inner_text()
    assert "beta2=0.999999" in fragment(page)
    page.locator("input[type=number][data-key=beta2]").fill("0.999")
    assert "Above β₂ = 0.999603 Adam would fall." in page.locator("#verdict").inner_text()
    position = float(slider.input_value())
    assert position == pytest.approx(0.5, abs=2e-3)


def test_refuses_what_is_out_of_range(opened):
    page = opened(QUICK)
    number = page.locator("input[type=number][data-key=beta2]")
    number.fill("1")
    assert "It must be in [0, 1)." in number.evaluate("input => input.validationMessage")
    assert page.evaluate("state.beta2") == 0.99


def test_the_address_holds_the_settings(opened):
    page = opened("#lab?beta2=0.5&period=50&rules=AMSGrad,SGD&SGD.lr=0.01&steps=5000&beta1=7&x=y")
    settled(page)
    state = page.evaluate("({...state})")
    assert (state["beta2"], state["period"], state["steps"]) == (0.5, 50, 5000)
    assert state["rules"] == "AMSGrad,SGD" and state["SGD.lr"] == 0.01
    assert state["beta1"] == 0 and "x" not in state  # what makes no sense is not taken
    page.locator("input[type=number][data-key=small]").fill("3")
    again = opened(fragment(page))
    assert again.evaluate("({...state})") == page.evaluate("({...state})")


def test_an_unsettled_curve_says_where_it_ends(opened):
    page = opened("#lab?steps=20000&beta2=0.999&rules=Adam,AMSGrad")
    settled(page)
    assert "Adam → +1" in page.locator("#x svg").text_content()
    caption = page.locator("#x figcaption").inner_text()
    assert "by the moves of a settled period it ends at +1" in caption


def test_the_map_has_a_ring_that_follows_and_takes_clicks(opened):
    page = opened(QUICK)
    before = page.locator("#map .here").get_attribute("cy")
    page.locator("#map svg").click(position={"x": 200, "y": 60})
    assert page.locator("#map .here").get_attribute("cy") != before
    assert page.evaluate("state.beta2") > 0.999


def test_a_rule_without_a_closed_form_says_so(opened):
    page = opened("#lab?rules=ADOPT&focus=ADOPT&steps=2000")
    settled(page)
    assert "no closed form" in page.locator("#verdict").inner_text()
    assert page.locator("#map h3").inner_text() == "Where Adam drifts to, in closed form"


def test_a_landscape_has_the_defaults_of_each_rule(opened):
    def paths(settings):
        page = opened(f"#lab?steps=2000&{settings}")
        page.locator("#heights svg").wait_for()
        return [one.get_attribute("d") for one in page.locator("#plane .curve").all()]

    usual = paths("beta1=0")
    assert paths("beta1=0.5") == usual
    assert sum(a != b for a, b in zip(paths("Adam.betas[0]=0.5"), usual, strict=True)) == 1


def test_rules_come_and_go(opened):
    page = opened(QUICK)
    page.locator("select[data-key='add to rules']").select_option("AdaGrad")
    assert "AdaGrad" in page.locator("#online-form").inner_text()
    assert page.evaluate("chosen().length") == 3
    page.locator("#online-form").get_by_role("button", name="Take AMSGrad away").click()
    assert "AMSGrad" not in page.evaluate("chosen()")
    page.locator("select[data-key='add to rules']").select_option("LeakyAMSGrad")
    page.locator("#online-form [data-rule=LeakyAMSGrad] summary").click()
    page.locator("input[type=number][data-key='LeakyAMSGrad.rho']").fill("0.9")
    assert "LeakyAMSGrad.rho=0.9" in fragment(page)


def test_spikes_at_random_and_constant_steps(opened):
    page = opened("#lab?kind=drawn&steps=20000&schedule=Constant")
    settled(page)
    assert "no closed form" in page.locator("#verdict").inner_text()
    assert page.locator("#x .curve").count() == 2


def test_every_schedule_plays_and_has_its_sliders(opened):
    page = opened("#lab?steps=2000")
    assert len(cases.OF_ALPHA) == 19
    sliders = page.locator("#online-form fieldset", has_text="Momentum and").locator("[type=range]")
    for schedule in cases.OF_ALPHA:
        settled(page)
        page.evaluate("$('speed').textContent = ''")
        page.locator("select[data-key=schedule]").select_option(schedule)
        settled(page)
        assert "stopped" not in page.locator("#x svg").text_content(), schedule
        fields, given = cases.LAB.schedules[schedule]["fields"], page.evaluate("schedule()")
        assert [*given] == ["schedule", *(one["field"] for one in fields)]
        assert all(given[one["field"]] == 0.5 for one in fields if one["alpha"])
        others = [given[one["field"]] for one in fields if not one["alpha"]]
        assert None not in others and sliders.count() == 2 + len(others), schedule


def test_milestones_are_taken_in_order(opened):
    page = opened(
        "#lab?schedule=MultiStep&MultiStep_milestones_0=900&MultiStep_milestones_1=30&steps=2000"
    )
    given = page.evaluate("schedule()")
    assert (given["milestones[0]"], given["milestones[1]"]) == (30, 900)


def test_a_large_gradient_is_cut_off_and_says_so(opened):
    page = opened(QUICK)
    strips = page.locator("#microscope svg")
    assert strips.count() == 4
    assert "1010, cut off here" in strips.nth(0).text_content()
    page.locator("input[type=number][data-key=beta1]").fill("0.9")
    assert "cut off" not in strips.nth(2).text_content()  # momentum spreads the spike


def test_what_stands_first_is_the_story_the_slider_and_the_microscope(opened):
    page = opened(QUICK, height=700)
    box = page.locator("#microscope svg").last.bounding_box()
    assert box["y"] + box["height"] < 700
    story = " ".join(page.locator(".story > p:not([id])").all_inner_texts())
    assert len(re.findall(r"[.!?](?:\s|$)", story)) == 3
    phone = opened(QUICK, width=375, height=700)
    phone.locator("#microscope svg").last.scroll_into_view_if_needed()
    assert 0 <= phone.locator("#memory-form").bounding_box()["y"] < 100  # it stays in sight


def test_a_click_on_a_landscape_starts_there(opened):
    page = opened("#landscapes?landscape=himmelblau&path_steps=500")
    page.locator("#plane svg").click(position={"x": 120, "y": 120})
    assert "from_x=" in fragment(page)
    start = page.evaluate("[state.from_x, state.from_y]")
    assert start != [None, None]
    page.locator("#plane").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("state.from_x") > start[0]
    assert page.locator("#plane .curve").count() == 5
    page.locator("select[data-key=landscape]").select_option("beale")
    assert page.evaluate("startOfPath()") == [1, 1.5] and "from_x" not in fragment(page)


def test_the_table_of_rules_sorts_and_is_searched(opened):
    page = opened(QUICK)
    shown = "document.querySelectorAll('#rule-table tbody tr:not([hidden])')"
    column = f"[...{shown}].map(row => row.cells[0].textContent)"
    assert page.evaluate(column)[0] == "SGD"
    page.get_by_role("button", name="rule", exact=True).click()
    names = page.evaluate(column)
    assert names == sorted(names, key=str.lower)
    assert page.locator("th[aria-sort=ascending]").count() == 1
    page.get_by_role("button", name="rule", exact=True).click()
    assert page.evaluate(column) == names[::-1]
    page.locator("#search").fill("reddi amsgrad")
    assert "AMSGrad" in page.evaluate(column) and len(page.evaluate(column)) < 10
    assert page.locator("#found").inner_text().startswith(f"{len(page.evaluate(column))} of ")
    assert not page.locator("#rule-SGD").is_visible() and page.locator("#rule-AMSGrad").is_visible()


def test_a_rule_has_an_address(opened):
    page = opened("#rule-AMSGrad")
    section = page.locator("#rule-AMSGrad")
    assert section.get_attribute("open") is not None
    text = section.inner_text()
    assert "v_max ← max(v_max, v)" in text and "xp.maximum(v_max, v, out=v_max)" in text


def test_a_rule_of_one_s_own_plays_beside_the_others(browser, tmp_path):
    class Third(optim.Optimizer):
        """A third of the gradient."""

        lr: optim.Rate = 1e-3

        @optim.inplace
        def kernel(p, g, *, lr):
            p -= lr * g / 3

    del optim.RULES["third"]
    (tmp_path / "index.html").write_text(
        build.build([], [NamedRule(Third, {}, "third.py")]), "utf-8"
    )
    page = browser.new_page()
    page.goto(f"{(tmp_path / 'index.html').as_uri()}#lab?steps=2000&lr=0.001&schedule=Constant")
    settled(page)
    assert page.evaluate("chosen()") == ["Adam", "AMSGrad", "Third"]
    x = page.evaluate("latest[2].run.arrays.p[0]")
    p = Tensor(np.zeros(1), requires_grad=True)
    opt = Third([p], lr=0.001, projection=optim.Box(-1, 1))
    opt.play(np.where(np.arange(2000) % 101 == 0, 1010.0, -10.0)[:, None])
    assert x == p.item() and -1 < x < 1
    page.close()


def test_a_claim_opens_and_gives_its_numbers(opened):
    page = opened("#claim-theorem-1")
    card = page.locator("#claim-theorem-1")
    assert "python -m experiments run theorem-1" in card.inner_text()
    numbers = card.locator("table tr").all_inner_texts()
    assert numbers[0].split("\t") == ["", "ours", "the literature's"]
    assert numbers[1].startswith("R_T/T at C = 2.1") and numbers[1].endswith("0.066667")
    card.locator("[data-figure] svg[role=img]").wait_for()
    assert card.locator("svg").get_attribute("aria-label") == card.locator("img").get_attribute(
        "alt"
    )
    assert page.locator("#claims svg").count() == 1  # the figures of others are still packed
    with page.expect_download() as download:
        card.get_by_role("button").click()
    text = download.value.path().read_text("utf-8")
    assert text.startswith("panel,series,x,y,low,high")


@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_follows_the_system_and_the_button(opened, scheme):
    page = opened(QUICK, color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    first = page.evaluate(ground)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    ink = "getComputedStyle(document.querySelector('#claim-theorem-1 svg')).fill"
    page.locator("#claim-theorem-1 summary").click()
    page.locator("#claim-theorem-1 svg").wait_for()
    assert page.evaluate(ink) == page.evaluate("getComputedStyle(document.body).color")
    page.locator("#theme").click()
    assert page.evaluate(ground) != first
    assert page.locator("#theme").get_attribute("aria-pressed") == str(scheme == "light").lower()


@pytest.mark.parametrize("width", (375, 768, 1280))
def test_fits_the_width(opened, width):
    page = opened(QUICK, width=width)
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    scales = "svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
    found = page.evaluate(f"[...document.querySelectorAll('svg.chart')].map({scales})")
    assert len(found) > 7 and min(found) > 0.8  # of letters of 12 pixels
