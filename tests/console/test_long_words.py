"""Whatever is received may be one long word: no page becomes wider than the window."""

import pytest

from conftest import Visitor
from rig import SECRET, ask, bridge

SOURCE = "s" * 63
FACT = "f" * 50
ID = "I" * 200
NAME = "W" * 256
LABEL = "L" * 100
REASON = "R" * 200
OPERATOR = "o" * 63
ELSEWHERE = f"{'m' * 60}@{'d' * 60}.{'d' * 60}.example.com"
PAGES = (
    "/", "/people", "/people?state=blocked", "/people?state=incomplete", "/person?source={source}&employee_id={id}1",
    "/person?source={source}&employee_id={id}2", "/person?source={source}&employee_id={id}3",
    "/person?source={source}&employee_id={id}4", "/person?source={source}&employee_id={id}9", "/people?search={id}9",
    "/dead", "/dead?source={source}", "/dead/{blocked}", "/dead/{unmapped}?payload=true", "/deliveries",
    "/deliveries?source={source}", "/roster", "/roster?plan=true", "/try", "/hold", "/audit", "/settings",
)
# What sticks out of the window, and out of a box that could be scrolled: its end would not be seen.
WIDE = """() => {
    const all = [document.documentElement, ...document.querySelectorAll(".scroll")];
    return all.filter(box => box.scrollWidth > box.clientWidth).map(box => {
        const right = box.getBoundingClientRect().left + box.clientWidth;
        const out = [...document.querySelectorAll("main *")].filter(it => it.getBoundingClientRect().right > right + 1);
        return box.tagName + " by " + (box.scrollWidth - box.clientWidth) + ": " + out.slice(0, 4).map(it => it.outerHTML.slice(0, 120)).join(" | ");
    });
}"""


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A bridge in which everything that somebody else chose is as long as it may be."""
    with bridge(tmp_path_factory.mktemp("long")) as made:
        made.append(f"""
[[server.token]]
name = "{OPERATOR}"
role = "full"
token = "{OPERATOR}"
[[source]]
name = "{SOURCE}"
preset = "standard-webhooks"
secrets = ["whsec_{SECRET}"]
[source.mapping.facts]
{FACT} = "/data/department"
[[group]]
name = "{LABEL}"
fact = "{FACT}"
""")
        made.control("/members", body=[{"user_name": ELSEWHERE, "standing": "other_team"}])
        hire(made, 1, "ada@example.com")
        hire(made, 2, ELSEWHERE)
        hire(made, 3, f"{'m' * 200}#example.com")
        assert made.deliver({"type": "t" * 80, "data": {}}, source=SOURCE)[0] == 200
        assert made.deliver({"type": "employee.hired", "data": {"number": ID}}, source=SOURCE)[0] == 200
        ask(f"{made.listen}/webhooks/{'u' * 63}", "POST", "{}", {"Content-Type": "application/json"})
        made.settled()
        for scope in (f"fetch:{SOURCE}", "creates"):
            made.api("/api/v1/hold", "PUT", {"scope": scope, "reason": REASON}, OPERATOR)
        hire(made, 4, f"{'m' * 64}@example.com")
        roster = f"employee_id,email,{'c' * 200}\n{ID}5,no address {ELSEWHERE},x\n{ID}6,{'n' * 64}@example.com,y\n"
        made.api(f"/api/v1/roster?source={SOURCE}", "POST", roster)
        yield made


def hire(made, number, email):
    data = {"employee_id": f"{ID}{number}", "email": email, "first_name": NAME, "last_name": NAME, "department": LABEL}
    status, _, text = made.deliver({"type": "employee.hired", "data": data}, source=SOURCE)
    assert status == 200, text


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_widened_by_a_long_word(long, browser, width):
    codes = {row["code"]: row["id"] for row in long.dead()}
    parts = {"source": SOURCE, "id": ID, "blocked": codes["SCIM-409-ELSEWHERE"], "unmapped": codes["MAP-FIELD"]}
    context = browser.new_context(viewport={"width": width, "height": 900})
    visitor = Visitor(long, context).log_in(OPERATOR)
    wide = {}
    for path in PAGES:
        path = path.format(**parts)
        visitor.go(path)
        assert visitor.page.locator("main").inner_text().strip(), path
        if found := visitor.page.evaluate(WIDE):
            wide[path.replace(ID, "ID").replace(SOURCE, "SOURCE")] = found
    visitor.go("/try")
    visitor.page.locator("textarea").fill(f'{{"type":"employee.hired","data":{{"employee_id":"{ID}7","email":"x@example.com","first_name":"{NAME}","last_name":"{NAME}"}}}}')
    visitor.page.locator("select").first.select_option(SOURCE)
    visitor.page.locator("form.card button").first.click()
    visitor.page.wait_for_load_state()
    if found := visitor.page.evaluate(WIDE):
        wide["tried"] = found
    context.close()
    assert wide == {}
