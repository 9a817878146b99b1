"""What the tests share: one bridge for all, and a browser that tells of whatever must not be."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

from rig import BINARY, ROOT, TOKEN, bridge, people

TOOLS = ROOT / "target/console-tools"
# What a page reports of itself: anything its policy forbade.
WATCH = "window.forbidden = []; addEventListener('securitypolicyviolation', e => window.forbidden.push(e.violatedDirective + ' ' + e.blockedURI));"


def pytest_addoption(parser):
    parser.addoption("--pictures", action="store_true", help="put the pictures of the pages into docs/images")


@pytest.fixture(scope="session", autouse=True)
def tools():
    assert BINARY.exists(), "no binary: cargo build"
    assert TOOLS.exists() and chromium(), "no tools: script/setup"


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A bridge with people, and with trouble."""
    with bridge(tmp_path_factory.mktemp("bridge")) as made:
        people(made)
        yield made


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root, as which containers of CI run.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class Visitor:
    """Somebody at a browser, and all that went wrong there."""

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
    """Opens a browser of its own for somebody: its size and theme."""
    contexts = []

    def open_for(token=TOKEN, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        visitor = Visitor(made, context)
        return visitor.log_in(token) if token else visitor

    yield open_for
    for context in contexts:
        context.close()
