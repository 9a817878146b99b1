"""Shared fixtures: one bridge for all tests, and a browser that reports every violation."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from rig import BINARY, ROOT, TOKEN, bridge, people

TOOLS = ROOT / "target/console-tools"
# Collects violations of the page's Content-Security-Policy.
WATCH = "window.forbidden = []; addEventListener('securitypolicyviolation', e => window.forbidden.push(e.violatedDirective + ' ' + e.blockedURI));"


def pytest_addoption(parser):
    parser.addoption("--pictures", action="store_true", help="save screenshots of the pages in docs/images")


@pytest.fixture(scope="session", autouse=True)
def tools():
    assert BINARY.exists(), "no binary: cargo build"
    assert TOOLS.exists() and chromium(), "no tools: script/setup"


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A bridge with people and problems."""
    with bridge(tmp_path_factory.mktemp("bridge")) as made:
        people(made)
        yield made


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root, which CI containers run as.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class Visitor:
    """A user's browser, and everything that went wrong in it."""

    def __init__(self, made, context):
        self.made, self.context, self.page, self.wrong = made, context, context.new_page(), []
        self.page.set_default_timeout(15_000)
        context.add_init_script(WATCH)
        self.page.on("console", lambda line: line.type in ("error", "warning") and self.wrong.append(line.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: request.url.startswith(made.admin + "/") or self.wrong.append(f"foreign: {request.url}"))

    def go(self, path):
        answer = self.page.goto(self.made.admin + path)
        self.check()
        return answer

    def leave(self):
        """Before the bridge restarts: a live page would complain that nobody answers."""
        self.page.goto("about:blank")

    def log_in(self, token=TOKEN):
        self.go("/login")
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(self.made.admin + "/")
        return self

    def check(self):
        """Nothing went wrong on the page."""
        assert self.page.evaluate("window.forbidden") == []
        assert self.wrong == []


@pytest.fixture
def visit(made, browser):
    """Opens a separate browser: its size and theme."""
    contexts = []

    def open_for(token=TOKEN, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        visitor = Visitor(made, context)
        return visitor.log_in(token) if token else visitor

    yield open_for
    for context in contexts:
        context.close()
