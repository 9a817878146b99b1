"""Every page in both themes and at two sizes: nothing is cut off, everything is accessible, and screenshots are taken."""

import pytest

from conftest import TOOLS
from rig import ROOT

PAGES = {
    "login": "/login", "now": "/", "people": "/people", "person": "/people?search=ada.lovelace@example.com",
    "blocked": "/people?state=blocked", "dead": "/dead", "letter": "/dead/{letter}?payload=true", "deliveries": "/deliveries",
    "roster": "/roster", "try": "/try", "hold": "/hold", "audit": "/audit", "settings": "/settings",
}
PICTURED = ("now", "person")
AXE = (TOOLS / "node_modules/axe-core/axe.min.js")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_whole_and_accessible(visit, made, request, theme, width):
    visitor = visit(color_scheme=theme, viewport={"width": width, "height": 900}, has_touch=width < 600)
    pictures = ROOT / "target/console-pictures"
    pictures.mkdir(exist_ok=True)
    letter = made.dead("code=MAP-FIELD")[0]["id"]
    for name, path in PAGES.items():
        if name == "login":
            visitor.context.clear_cookies()
        visitor.go(path.format(letter=letter))
        if name == "login":
            check(visitor, name)
            visitor.page.screenshot(path=pictures / f"{name}-{theme}-{width}.png", full_page=True)
            visitor.log_in()
            continue
        check(visitor, name)
        picture = pictures / f"{name}-{theme}-{width}.png"
        visitor.page.screenshot(path=picture, full_page=True)
        if request.config.getoption("--pictures") and name in PICTURED and width == 1280:
            kept = ROOT / "docs/images"
            kept.mkdir(exist_ok=True)
            visitor.page.screenshot(path=kept / f"{name}-{theme}.png")


def check(visitor, name):
    page = visitor.page
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} is wider than the window by {wide} px"
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] }).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.target + ' ' + n.failureSummary).join(' | ')))")
    assert found == [], f"{name}: {found}"
    visitor.check()
