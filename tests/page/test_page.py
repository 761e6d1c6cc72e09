"""The page in a real browser: it loads alone, and does what it says."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import optim
from experiments import cli
from experiments.page import build
from minigrad import Tensor
from optim.named import NamedRule
from tests.driving import host_only
from tests.page import cases

RULES = "adam,sgd,lion,sgd(lr=1e-2),adam(betas=(0.8, 0.99)),rmsprop"

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
    """The page of three quick runs, and of the hunts."""
    folder = tmp_path_factory.mktemp("page")
    options = ["--quick", "--out", str(folder / "runs"), "--workers", "1"]
    assert cli.main(["run", "theorem-1", "landscapes", *options]) == 0
    problems = ["--problems", "quadratic,rosenbrock,wood,beale", "--seeds", "3"]
    assert cli.main(["tournament", "--rules", RULES, *problems, *options]) == 0
    docs = Path(__file__).parents[2] / "docs"
    (folder / "index.html").write_text(build.build([folder / "runs", docs]), "utf-8")
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
    page.locator("#gamma svg").wait_for()
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
    moved = "under Adam 7.96 down and 10.2 up, in sum 2.28"
    assert moved in page.locator("#microscope figcaption").inner_text()
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
    message = page.locator("#memory-form [role=alert]")
    for text, said in (
        ("1.5", "β₂ = 1.5 is not a number in [0, 1); 0.99 stays."),
        ("", "β₂ = blank is not a number in [0, 1); 0.99 stays."),
    ):
        number.fill(text)
        assert message.inner_text() == said and message.is_visible()
        assert number.evaluate("input => input.validationMessage") == said
        assert number.get_attribute("aria-invalid") == "true"
        assert page.evaluate("state.beta2") == 0.99
    number.fill("0.5")
    assert message.inner_text() == "" and number.get_attribute("aria-invalid") == "false"
    assert page.evaluate("state.beta2") == 0.5


def test_the_address_holds_the_settings(opened):
    page = opened("#lab?beta2=0.5&period=50&rules=AMSGrad,SGD&SGD.lr=0.01&steps=5000&beta1=7&x=y")
    settled(page)
    state = page.evaluate("({...state})")
    assert (state["beta2"], state["period"], state["steps"]) == (0.5, 50, 5000)
    assert state["rules"] == "AMSGrad,SGD" and state["SGD.lr"] == 0.01
    assert state["beta1"] == 0 and "x" not in state  # what makes no sense is not taken
    told = "In the address beta1 = 7 is not a number in [0, 1); x is no setting: the default stays."
    assert page.locator("#address").inner_text() == told
    other = opened("#lap?beta2=0.5")
    assert other.locator("#address").inner_text() == "The address names no section: lap."
    page.locator("input[type=number][data-key=small]").fill("3")
    again = opened(fragment(page))
    assert again.evaluate("({...state})") == page.evaluate("({...state})")


def test_an_unsettled_curve_says_where_it_ends(opened):
    page = opened("#lab?steps=20000&beta2=0.999&rules=Adam,AMSGrad")
    settled(page)
    assert "Adam → +1" in page.locator("#x svg").text_content()
    caption = page.locator("#x figcaption").inner_text()
    assert "by the moves of a settled period it ends at +1" in caption


def test_a_tie_has_no_verdict_by_rounding(opened):
    page = opened("#lab?large=100&small=1&period=101&steps=5000&rules=AMSGrad")
    settled(page)
    assert abs(page.evaluate("drift(state, ...closedForm('AMSGrad'))")) < 1e-9
    assert "AMSGrad is at x = " in page.locator("#verdict").inner_text()
    assert "→" not in page.locator("#x svg").text_content()


def test_a_constant_alpha_is_said_to_leave_a_floor(opened):
    for address, there in (("#lab?schedule=Constant&lr=0.01", True), ("#lab?", False)):
        page = opened(address)
        settled(page)
        assert ("of the order of α" in page.locator("#regret figcaption").inner_text()) == there


def test_the_map_has_a_ring_that_follows_and_takes_clicks(opened):
    page = opened(QUICK)
    before = page.locator("#map .here").get_attribute("cy")
    page.locator("#map svg").click(position={"x": 200, "y": 60})
    assert page.locator("#map .here").get_attribute("cy") != before
    assert page.evaluate("state.beta2") > 0.999


def test_a_rule_without_a_closed_form_says_so(opened):
    page = opened("#lab?rules=ADOPT&focus=ADOPT&steps=2000")
    settled(page)
    x = page.evaluate("latest[0].x.at(-1)")
    assert x > 0.9
    told = page.locator("#verdict").inner_text()
    assert "ADOPT is at +1, the worst point, after 2,000 steps" in told
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
    assert page.locator("#x .curve").count() == 2
    told = page.locator("#verdict").inner_text()
    for name, x in page.evaluate("latest.map(run => [run.name, run.x.at(-1)])"):
        end = "+1, the worst point" if x > 0.9 else "−1, the best point" if x < -0.9 else "x = "
        assert re.search(rf"{name}[^;]* at {re.escape(end)}", told), told
    heading = page.locator("#microscope h3").inner_text()
    assert "Were the spikes 100 steps apart" in heading
    assert page.locator("#microscope svg").count() == 4
    assert "with a chance of 0.01" in page.locator("#story").inner_text()
    assert "10.1 against 9.9, so −1 is the best point" in page.locator("#story").inner_text()


def test_a_section_is_shown_from_its_beginning(opened):
    page = opened("#lab?beta2=0.9999&steps=2000", height=700)
    settled(page)
    assert 0 <= page.locator("#problem").bounding_box()["y"] < 150
    claim = opened("#claim-theorem-1", height=700)
    claim.locator("#claim-theorem-1 svg").wait_for()
    settled(claim)
    assert 0 <= claim.locator("#claim-theorem-1").bounding_box()["y"] < 150


def test_the_microscope_says_after_how_long_where_there_is_no_closed_form(opened):
    page = opened("#lab?rules=Adam,ADOPT&focus=ADOPT&steps=1000000")
    settled(page)
    said = page.locator("#microscope figcaption").inner_text()
    assert "Of ADOPT that is after 100,000 steps." in said
    total = re.search(r"under ADOPT .*? in sum (\S+?)\.? Of", said)[1]
    assert total.startswith("−")  # as the run ends
    assert "ADOPT is at −1" in page.locator("#verdict").inner_text()


def test_every_chosen_rule_is_in_the_verdict(opened):
    page = opened("#lab?rules=Adam,AMSGrad,LeakyAMSGrad,AdamNC,ADOPT,Yogi&steps=20000")
    settled(page)
    told = page.locator("#verdict").inner_text()
    for name in page.evaluate("chosen()"):
        assert re.search(rf"\b{name}\b", told), name
    assert "after 20,000 steps" in told


def test_the_story_is_of_the_problem_that_is_set(opened):
    theorem = opened("#lab?large=3&small=1&period=3&beta2=0.1&x1=1&steps=3000")
    assert theorem.locator("#problem").inner_text() == "One gradient of +3 among 2 of −1"
    story = theorem.locator("#story").inner_text()
    assert "one gradient in 3, of +3," in story and "3 against 2, so −1 is the best" in story
    wrong = opened("#lab?large=500&steps=3000")
    story = wrong.locator("#story").inner_text()
    assert "500 against 1000, so +1 is the best point" in story and "divides" not in story
    assert "climb towards +1, the best point" in wrong.locator("#verdict").inner_text()
    assert "the best" in wrong.locator("#x svg").text_content()


def test_at_a_long_memory_amsgrad_divides_by_no_less_than_adam(opened):
    page = opened("#lab?beta2=0.999968&steps=3000")
    alt = page.locator("#microscope svg").nth(1).get_attribute("aria-label")
    adam, amsgrad = (float(re.search(rf"{n}: ([\d.]+) at", alt)[1]) for n in ("Adam", "AMSGrad"))
    assert amsgrad == adam == pytest.approx(101, rel=0.01)  # the root of the mean square


def test_what_is_cut_off_is_said(opened):
    page = opened("#lab?rules=SGD,Adam&focus=Adam&steps=20000")
    settled(page)
    assert "Cut off at the edge: SGD is down to −1010" in page.locator("#microscope").inner_text()
    assert page.locator("#microscope svg").nth(3).get_by_text("SGD ↓").count() == 1
    later = "latest[1].average.filter((_, i) => latest[1].times[i] >= 303)"
    said = "Adam is up to" in page.locator("#regret figcaption").inner_text()
    assert said == (page.evaluate(f"Math.max(...{later})") > 1)
    page.locator("input[type=number][data-key=x1]").fill("1")
    settled(page)
    page.locator("#regret figcaption", has_text="is up to").wait_for()


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
    strips.nth(2).filter(has_not_text="cut off").wait_for()  # momentum spreads the spike


def test_what_stands_first_is_the_story_the_slider_and_the_microscope(opened):
    page = opened(QUICK, height=700)
    box = page.locator("#microscope svg").last.bounding_box()
    assert box["y"] + box["height"] < 700
    story = page.locator("#story p").all_inner_texts()
    assert len(story) == 3 and all(len(re.findall(r"[.!?](?:\s|$)", one)) == 1 for one in story)
    phone = opened(QUICK, width=375, height=700)
    phone.locator("#microscope svg").last.scroll_into_view_if_needed()
    for held in ("#memory-form", "#verdict"):  # they stay in sight
        box = phone.locator(held).bounding_box()
        assert 0 <= box["y"] and box["y"] + box["height"] < 250


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
    rule = page.locator("#rule-table").get_by_role("button", name="rule", exact=True)
    rule.click()
    names = page.evaluate(column)
    assert names == sorted(names, key=str.lower)
    assert page.locator("th[aria-sort=ascending]").count() == 1
    rule.click()
    assert page.evaluate(column) == names[::-1]
    page.locator("#search").fill("reddi amsgrad")
    assert "AMSGrad" in page.evaluate(column) and len(page.evaluate(column)) < 10
    assert page.locator("#found").inner_text().startswith(f"{len(page.evaluate(column))} of ")
    assert not page.locator("#rule-SGD").is_visible() and page.locator("#rule-AMSGrad").is_visible()


@pytest.fixture(scope="module")
def steps(address):
    """The steps of the tournament's median seeds, by rule and problem, from the run's table."""
    path = Path(address.removeprefix("file://")).parent / "runs" / "tournament" / "steps.csv"
    found = {}
    with open(path, newline="") as file:
        for line in csv.DictReader(file):
            of = found.setdefault(line["rule"], {}).setdefault(line["problem"], [])
            of.append(float(line["steps"]))
    return {
        rule: {name: sorted(seeds)[1] for name, seeds in of.items()} for rule, of in found.items()
    }


def test_profiles_are_those_of_the_steps_and_are_chosen_in_the_table(opened, steps):
    page = opened("#tournament?")
    page.locator("#profiles svg").wait_for()
    assert page.evaluate("Object.keys(DATA.tournament.profiles).length") == len(steps) == 10
    for rule, of in steps.items():
        ratios = [steps_ / min(one[name] for one in steps.values()) for name, steps_ in of.items()]
        for place in (0, 20, -1):
            tau = 1 + 3 * (place if place >= 0 else 60) / 60
            share = np.mean([ratio <= tau for ratio in ratios])
            told = page.evaluate(f"DATA.tournament.profiles[{json.dumps(rule)}].at({place})")
            assert told == pytest.approx(share, abs=1e-4)
    chosen = page.evaluate("named()")
    assert {"Adam", "SGD"} <= set(chosen) and 3 <= len(chosen) <= 5
    assert page.locator("#profiles .label").all_text_contents() != []
    assert page.locator("#profiles .rest").count() == 10 - len(chosen)
    box = page.get_by_role("checkbox", name="Adam(betas=(0.8, 0.99))")
    box.focus()
    page.keyboard.press("Space")
    assert page.evaluate("named()") == [*chosen, "Adam(betas=(0.8, 0.99))"] and box.is_checked()
    assert "shown=" in fragment(page) and fragment(page).startswith("#tournament?")
    again = opened(fragment(page))
    again.locator("#profiles svg").wait_for()
    assert again.evaluate("named()") == page.evaluate("named()")
    page.get_by_role("checkbox", name="SGD", exact=True).uncheck()
    assert "SGD" not in page.evaluate("named()")
    page.locator("#profiles .rest[data-shown=SGD] .near").dispatch_event("click")
    assert page.evaluate("named().at(-1)") == "SGD"
    for name in steps:
        page.get_by_role("checkbox", name=name, exact=True).check()
    assert page.evaluate("named().length") == 6 and page.locator("#profiles .curve").count() == 6
    wrong = opened("#tournament?shown=Nobody")
    assert "shown = Nobody is nothing known here" in wrong.locator("#address").inner_text()


def test_the_tables_of_a_tournament_are_sorted_by_numbers(opened, steps):
    page = opened("#tournament?")
    column = "(table, i) => [...table.tBodies[0].rows].map(row => row.cells[i].textContent.trim())"
    scores, times = page.locator("#tournament table").all()
    assert scores.evaluate(f"table => ({column})(table, 1)") == sorted(
        scores.evaluate(f"table => ({column})(table, 1)"), reverse=True
    )
    for place, heading in enumerate(scores.locator("thead th").all()):
        heading.get_by_role("button").focus()
        for key, way in (("Enter", "ascending"), ("Space", "descending")):
            page.keyboard.press(key)
            assert heading.get_attribute("aria-sort") == way
            assert scores.locator("[aria-sort]").count() == 1
            texts = scores.evaluate(f"table => ({column})(table, {place})")
            if place == 1:
                assert texts == sorted(texts, key=float, reverse=way == "descending")
            if place == 4:  # targets
                reached = [sum(map(np.isfinite, of.values())) for of in steps.values()]
                told = sorted(reached, reverse=way == "descending")
                assert texts == [f"{count} of 4" for count in told]
    page.get_by_text("Steps to the target of each problem").click()
    for place, name in enumerate(next(iter(steps.values())), 1):
        values = sorted(of[name] for of in steps.values())
        finite = [f"{one:.0f}" for one in values if one < np.inf]
        never = ["never"] * (10 - len(finite))  # last, whichever way
        for told in (finite + never, finite[::-1] + never):
            times.locator("thead button").nth(place).click()
            assert times.evaluate(f"table => ({column})(table, {place})") == told


def test_hunts_are_sorted_by_the_numbers_that_their_cells_begin_with(opened):
    page = opened(QUICK)
    table = page.locator("#claims > .scroll table.sortable")
    table.locator("thead button").last.click()
    cells = "table => [...table.tBodies[0].rows].map(row => row.cells[4].textContent)"
    drifts = [float(one.split()[0].replace("−", "-")) for one in table.evaluate(cells) if one]
    assert len(drifts) > 20 and drifts == sorted(drifts)
    assert [bool(one) for one in table.evaluate(cells)] == sorted(
        (bool(one) for one in table.evaluate(cells)), reverse=True
    )


@pytest.mark.parametrize("width", (375, 1280))
def test_a_tournament_fits_the_width(opened, width):
    page = opened("#tournament?", width=width, color_scheme="dark")
    page.locator("#profiles svg").wait_for()
    page.get_by_text("Steps to the target of each problem").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#profiles svg").bounding_box()
    assert box["width"] > 0.4 * width and box["x"] + box["width"] <= width
    with page.expect_download() as download:
        page.get_by_role("button", name="Save scores.csv").click()
    assert download.value.path().read_text("utf-8").startswith("place,rule,score,low,high,tie")


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
    assert numbers[1].startswith("RT/T at C = 2.1") and numbers[1].endswith("0.066667")
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
    other = "dark" if scheme == "light" else "light"
    assert page.locator("#theme").inner_text() == scheme.title()  # what a click gives
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == other


def test_the_address_holds_both_sections(opened):
    page = opened("#lab?beta2=0.5&steps=2000")
    page.locator("select[data-key=landscape]").select_option("beale")
    assert "beta2=0.5" in fragment(page) and "landscape=beale" in fragment(page)
    page.locator("input[type=number][data-key=beta1]").fill("0.7")
    assert fragment(page).startswith("#lab?")
    again = opened(fragment(page))
    assert again.evaluate("({...state})") == page.evaluate("({...state})")
    again.get_by_role("link", name="back to the start").click()
    again.wait_for_function("state.beta2 === DATA.defaults.beta2")
    assert again.evaluate("state.landscape") == "beale" and "beale" in fragment(again)


def test_a_link_to_a_section_keeps_the_settings(opened):
    page = opened("#lab?beta2=0.5")
    page.get_by_role("link", name="Landscapes", exact=True).click()
    page.wait_for_function("location.hash.startsWith('#landscapes?')")
    assert "beta2=0.5" in fragment(page)


def test_a_figure_opens_at_its_full_size_on_a_phone(opened):
    page = opened("#claim-theorem-1", width=375)
    place = page.locator("#claim-theorem-1 [data-figure]")
    place.locator("svg").wait_for()
    assert place.locator("svg").bounding_box()["width"] < 375
    page.get_by_role("button", name="Full size").first.click()
    assert place.locator("svg").bounding_box()["width"] > 1000
    assert place.evaluate("one => one.scrollWidth > one.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    place.locator("svg").click(position={"x": 50, "y": 50})
    assert place.locator("svg").bounding_box()["width"] < 375
    assert page.locator("#rules .sideways").is_visible()


@pytest.mark.parametrize("width", (375, 768, 1280))
def test_fits_the_width(opened, width):
    page = opened(QUICK, width=width)
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    scales = "svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
    found = page.evaluate(f"[...document.querySelectorAll('svg.chart')].map({scales})")
    assert len(found) > 7 and min(found) > 0.8  # of letters of 12 pixels
