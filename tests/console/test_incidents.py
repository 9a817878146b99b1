"""Six incidents, each on a bridge of its own: what the person on call reads and clicks, from "something is wrong" to
"All is well". What the console cannot do by itself (a key, a secret, a mapping, a process) it says; that is done as told.
"""

import base64
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from conftest import Visitor
from rig import KEY, SECRET, bridge
from waiting import eventually, free_port

# Each within two minutes for a human reader; a script takes far less.
LIMIT_S = 120


@pytest.fixture
def on_call(browser, tmp_path):
    """A bridge, and a browser that has just signed in to its console."""
    contexts = []

    @contextmanager
    def begin(before=lambda made: None, **options):
        with bridge(tmp_path, **options) as made:
            before(made)
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            contexts.append(context)
            began = time.monotonic()
            visitor = Visitor(made, context).log_in()
            yield made, visitor
            visitor.go("/")
            all_is_well(visitor)
            visitor.check()
            assert time.monotonic() - began < LIMIT_S

    yield begin
    for context in contexts:
        context.close()


def problem(visitor, code):
    """The problem's card, as soon as it appears: the page is live."""
    card = visitor.page.locator("li.card", has=visitor.page.locator(f"code.code:text-is('{code}')"))
    card.wait_for(timeout=30_000)
    return card


def all_is_well(visitor):
    """Problems judged over the last minute's calls end with them."""
    expect(visitor.page.locator("#wrong h1")).to_have_text("All is well", timeout=90_000)


def says(element, *words):
    """Waits until it says these words: a live page is drawn once a second, and what it shows may be a few seconds old."""
    for word in words:
        expect(element).to_contain_text(word, timeout=30_000)


def tile(visitor, name):
    return visitor.page.locator("a.tile", has_text=name).locator(".value")


def test_an_expired_key_with_two_hundred_hires_behind_it(on_call):
    def expire(made):
        made.control("/options", "PATCH", {"key": "the-new-key"})
        for number in range(200):
            assert made.hire(number, "Ada", f"No{number}")[0] == 200

    with on_call(expire) as (made, visitor):
        card = problem(visitor, "HOLD-KEY")
        says(card, "key")
        open_jobs = [tile(visitor, state) for state in ("waiting", "running", "held")]
        eventually(lambda: sum(int(state.inner_text()) for state in open_jobs) == 200, lambda: visitor.page.inner_text("main"))
        expect(tile(visitor, "dead letters")).to_have_text("0")
        card.get_by_role("link", name="Look at").click()
        visitor.page.get_by_text("Everything: held").wait_for()
        # The new key lifts the hold by itself.
        visitor.leave()
        made.change(f'key = "{KEY}"', 'key = "the-new-key"')
        made.settled()
        assert not made.dead()
        visitor.go("/people?search=ada.no199@")
        visitor.page.get_by_role("heading", name="Ada No199").wait_for()


def test_a_person_of_another_team(on_call):
    def hire(made):
        made.control("/members", body=[{"user_name": "alan.turing@example.com", "standing": "other_team"}])
        made.hire(1, "Alan", "Turing")
        made.settled()

    with on_call(hire) as (made, visitor):
        card = problem(visitor, "SCIM-409-ELSEWHERE")
        says(card, "another team")
        # Their other team removes them, and ours accepts them.
        made.control("/members", body=[{"user_name": "alan.turing@example.com", "given_name": "Alan", "family_name": "Turing", "active": True, "standing": "member"}])
        card.get_by_role("link", name="Look at it").click()
        visitor.page.get_by_role("button", name="Replay all 1").click()
        eventually(lambda: not made.dead(), "they are healed")


def test_a_rotated_secret_of_the_hr_system(on_call):
    new = base64.b64encode(b"what the HR system signs with now").decode()

    def rotate(made):
        for number in range(12):
            assert made.hire(number, "Ada", f"No{number}", secret=new)[0] == 401

    with on_call(rotate) as (made, visitor):
        card = problem(visitor, "SOURCE-SIGNATURE")
        says(card, "12 deliveries were refused", "add it there, next to the old one")
        says(visitor.page.locator("#sources tr", has_text="hr"), "12", "none seen")
        visitor.leave()
        made.change(f'"whsec_{SECRET}"', f'"whsec_{new}", "whsec_{SECRET}"')
        assert made.hire(1, "Ada", "No1", secret=new)[0] == 200


def test_an_unknown_type(on_call):
    def misname(made):
        for number in range(5):
            assert made.hire(number, "Ada", f"No{number}", kind="worker.onboarded")[0] == 200

    with on_call(misname) as (made, visitor):
        card = problem(visitor, "SOURCE-IGNORED")
        says(card, "worker.onboarded", "[source.mapping]")
        card.get_by_role("link", name="Look at").click()
        visitor.page.locator("section#hr", has_text="worker.onboarded").wait_for()
        visitor.leave()
        made.append('[source.mapping]\nhire = ["employee.hired", "worker.onboarded"]\n')
        assert made.hire(5, "Ada", "No5", kind="worker.onboarded")[0] == 200
        made.settled()
        visitor.go("/people?search=ada.no5@")
        visitor.page.get_by_role("heading", name="Ada No5").wait_for()


@pytest.fixture
def redis(tmp_path):
    port = free_port()
    server = subprocess.Popen(["redis-server", "--port", str(port), "--dir", str(tmp_path), "--appendonly", "yes", "--save", ""], stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0"
    server.send_signal(signal.SIGKILL)
    server.wait()


def test_no_worker_runs(on_call, redis):
    def hire(made):
        for number in range(3):
            assert made.hire(number, "Ada", f"No{number}")[0] == 200

    with on_call(hire, store=redis, words=["--role", "intake"]) as (made, visitor):
        card = problem(visitor, "WORK-NOBODY")
        says(card, "serve --role worker")
        expect(tile(visitor, "waiting")).to_have_text("3", timeout=30_000)
        made.another("worker")
        visitor.page.locator("#processes tr", has_text="worker").wait_for(timeout=30_000)
        made.settled()


def test_an_hr_change_breaks_the_mapping_of_three_hundred(on_call):
    def broken(made):
        for number in range(300):
            data = {"worker": {"number": f"E-{number}"}, "email": f"no{number}@example.com", "first_name": "Ada", "last_name": f"No{number}"}
            assert made.deliver({"type": "employee.hired", "data": data})[0] == 200

    with on_call(broken) as (made, visitor):
        card = problem(visitor, "MAP-FIELD")
        says(card, "300 dead letters", "employee_id")
        # They could be replayed from here once the mapping is fixed; that is not needed here.
        card.get_by_role("link", name="Look at them").click()
        visitor.page.get_by_role("button", name="Replay all 300").wait_for()
        visitor.leave()
        made.append('[source.mapping]\nemployee_id = ["/data/worker/number", "/data/employee_id"]\n')
        eventually(lambda: not made.dead(), "they come to life with the mapping")
        made.settled()
        visitor.go("/people?search=no299@")
        visitor.page.get_by_role("heading", name="Ada No299").wait_for()
