"""What an operator does in the console, in a real browser."""

import re

from playwright.sync_api import expect

from rig import LOOKER, TOKEN, ask
from waiting import eventually


def test_a_wrong_token_is_refused_and_the_right_one_opens(visit):
    visitor = visit(token=None)
    visitor.go("/")
    assert visitor.page.url.endswith("/login")
    visitor.page.get_by_label("Token").fill("wrong")
    visitor.page.get_by_role("button", name="Log in").click()
    visitor.page.get_by_role("alert").wait_for()
    # The browser itself logs the 401 in its console.
    visitor.wrong = [line for line in visitor.wrong if "401" not in line]
    visitor.log_in()
    visitor.check()


def test_somebody_is_found_by_name_and_their_story_shows_what_happened(visit):
    visitor = visit()
    visitor.page.get_by_role("link", name="People", exact=True).click()
    visitor.page.get_by_label("Name, e-mail or employee id").fill("king")
    visitor.page.get_by_role("button", name="Find").click()
    visitor.page.get_by_role("heading", name="Ada King").wait_for()
    for word in ("POST /Users", " ms", "Ended: created"):
        expect(visitor.page.locator("#story")).to_contain_text(word)
    visitor.page.get_by_role("button", name="Ask Postman").click()
    expect(visitor.page.get_by_role("row", name="Family name")).to_contain_text(re.compile("King.*King.*King"))
    visitor.check()


def test_a_member_of_another_team_is_blocked_with_postmans_message(visit):
    visitor = visit()
    visitor.go("/people?search=turing")
    expect(visitor.page.locator("#answer")).to_contain_text("SCIM-409-ELSEWHERE")
    expect(visitor.page.locator("#story")).to_contain_text("“")


def test_dead_letters_are_filtered_and_replayed_in_bulk(visit, made):
    visitor = visit()
    # Their other team removes them, and ours accepts them.
    names = [("Alan", "Turing"), ("Grace", "Hopper"), ("Mary", "Shelley")]
    joined = [
        {"user_name": f"{given}.{family}@example.com".lower(), "given_name": given, "family_name": family, "active": True, "standing": "member"}
        for given, family in names
    ]
    made.control("/members", body=joined)
    visitor.page.get_by_role("link", name="Dead letters", exact=True).first.click()
    visitor.page.get_by_label("Code").select_option("SCIM-409-ELSEWHERE")
    visitor.page.get_by_role("button", name="Filter").click()
    expect(visitor.page.locator("tbody tr")).to_have_count(3)
    visitor.page.get_by_role("button", name="Replay all 3").click()
    expect(visitor.page.get_by_role("status")).to_contain_text("3 dead letters")
    eventually(lambda: not made.dead("code=SCIM-409-ELSEWHERE"), "they are healed")
    visitor.go("/dead?code=SCIM-409-ELSEWHERE")
    assert "There are none" in visitor.page.inner_text("main")
    visitor.check()


def test_a_payload_is_masked_until_asked_for_and_asking_is_audited(visit, made):
    letter = made.dead("code=MAP-FIELD")[0]
    visitor = visit()
    visitor.go(f"/dead/{letter['id']}")
    assert "#example.com" not in visitor.page.inner_text("main")
    visitor.page.get_by_role("link", name="Show the payload").click()
    visitor.page.get_by_text("#example.com").first.wait_for()
    visitor.go("/audit")
    assert "looked at the payload" in visitor.page.inner_text("main")


def test_a_field_is_corrected_and_the_record_replayed(visit, made):
    letter = next(letter for letter in made.dead("code=MAP-FIELD") if letter["person"]["employee_id"] == "E-2001")
    visitor = visit()
    visitor.go(f"/dead/{letter['id']}?payload=true")
    visitor.page.get_by_label("email").fill("nora.address@example.com")
    visitor.page.get_by_role("button", name="Correct and replay").click()
    visitor.page.get_by_role("status").wait_for()
    made.settled()
    visitor.go("/people?search=nora.address@example.com")
    assert "E-2001" in visitor.page.inner_text("main")
    visitor.check()


def test_holding_and_lifting(visit, made):
    visitor = visit()
    visitor.go("/hold")
    card = visitor.page.locator("section.card", has_text="Everything")
    card.get_by_label("Why").fill("the browser's test")
    card.get_by_role("button", name="Hold").click()
    visitor.page.get_by_text("Everything: held").wait_for()
    made.hire(3001, "Rosalind", "Franklin")
    eventually(lambda: made.api("/api/v1/status")["jobs"]["held"] + made.api("/api/v1/status")["jobs"]["waiting"] == 1, "they wait")
    visitor.page.get_by_role("button", name="Lift").click()
    visitor.page.get_by_text("The hold is lifted").wait_for()
    made.settled()
    visitor.go("/audit")
    assert "the browser's test" in visitor.page.inner_text("main")
    visitor.check()


def test_a_page_updates_without_a_reload(visit, made):
    visitor = visit()
    visitor.go("/people")
    visitor.page.evaluate("window.still = true")
    made.hire(3002, "Barbara", "Liskov")
    visitor.page.get_by_text("Barbara Liskov").wait_for()
    assert visitor.page.evaluate("window.still")
    visitor.check()


def test_a_page_with_events_shows_a_change_before_its_next_poll(visit, made):
    visitor = visit()
    visitor.go("/people")
    # Not `wait_for_function`: from its second look on, the page's own policy forbids what it does.
    for _ in range(100):
        if visitor.page.evaluate("isHeard"):
            break
        visitor.page.wait_for_timeout(100)
    for number, (given, family) in enumerate([("Margaret", "Hamilton"), ("Joan", "Clarke")]):
        made.hire(3010 + number, given, family)
        visitor.page.get_by_text(f"{given} {family}").wait_for(timeout=6_000)
    assert visitor.page.evaluate("isHeard && WITH_EVENTS_MS") == 10_000
    visitor.check()


def test_a_page_without_events_polls(visit, made):
    visitor = visit()
    visitor.context.route("**/events", lambda route: route.abort())
    visitor.page.goto(made.admin + "/people")
    made.hire(3020, "Annie", "Easley")
    visitor.page.get_by_text("Annie Easley").wait_for()
    assert not visitor.page.evaluate("isHeard")
    # The browser itself logs the failed request.
    visitor.wrong = [line for line in visitor.wrong if "ERR_FAILED" not in line]
    visitor.check()


def test_listed_deliveries_link_to_their_outcome(visit):
    visitor = visit()
    visitor.go("/deliveries?result=refused")
    eventually(lambda: visitor.page.reload() and "mismatch" in visitor.page.inner_text("#deliveries"), "the forged one is listed")
    visitor.go("/deliveries?result=accepted")
    visitor.page.locator("#deliveries td a").first.click()
    visitor.page.wait_for_url("**/person?*")
    visitor.check()


def test_a_trial_of_a_payload_changes_nothing(visit, made):
    before = made.api("/api/v1/status")["people"]
    visitor = visit()
    visitor.page.get_by_role("link", name="Try it").click()
    payload = '{"type":"employee.hired","data":{"employee_id":"E-9","email":"new@example.com","first_name":"Nia","last_name":"New"}}'
    visitor.page.get_by_label("Payload").fill(payload)
    visitor.page.get_by_label("Ask Postman").check()
    visitor.page.get_by_role("button", name="Try", exact=True).click()
    visitor.page.get_by_text("POST /Users").wait_for()
    assert '"userName": "new@example.com"' in visitor.page.inner_text("main")
    assert made.api("/api/v1/status")["people"] == before
    visitor.check()


def tab_to(page, locator, tabs_max=80):
    """Presses Tab until the element has the focus."""
    for _ in range(tabs_max):
        page.keyboard.press("Tab")
        if locator.evaluate("element => element === document.activeElement"):
            outline = locator.evaluate("element => getComputedStyle(element).outlineStyle")
            assert outline != "none", "the focus is visible"
            return
    raise AssertionError(f"Tab never reaches {locator}")


def test_everything_can_be_done_with_the_keyboard_alone(visit):
    visitor = visit(token=None)
    visitor.go("/login")
    page = visitor.page
    page.keyboard.type(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(visitor.made.admin + "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    tab_to(page, page.get_by_role("link", name="People", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url("**/people")
    tab_to(page, page.get_by_label("Name, e-mail or employee id"))
    page.keyboard.type("johnson")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Katherine Johnson").wait_for()
    visitor.check()


def test_viewers_are_offered_no_actions(visit, made):
    visitor = visit(token=LOOKER)
    for path in ("/", "/dead", "/hold"):
        visitor.go(path)
        assert visitor.page.locator("main form[method=post]").count() == 0, path
    visitor.go("/people?search=johnson")
    assert visitor.page.get_by_role("button", name="Try now").count() == 0


def test_names_are_always_shown_as_text(visit, made):
    made.hire(3003, "<img src=x onerror=alert(1)>", "</td><script>alert(2)</script>", email="x.ss@example.com")
    made.settled()
    visitor = visit()
    visitor.page.on("dialog", lambda dialog: visitor.wrong.append(dialog.message) or dialog.dismiss())
    visitor.go("/people?search=x.ss@example.com")
    assert "<script>alert(2)</script>" in visitor.page.inner_text("main")
    visitor.go("/people")
    visitor.check()


def test_another_sites_form_and_an_ended_session_do_nothing(visit, made):
    visitor = visit()
    cookie = "; ".join(f"{c['name']}={c['value']}" for c in visitor.context.cookies())
    visitor.go("/hold")
    token = visitor.page.locator("input[name=form_token]").first.input_value()
    form = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    body = f"form_token={token}&what=set&scope=all"
    assert ask(f"{made.admin}/hold", "POST", body, {**form, "Origin": "https://evil.example"})[0] == 403
    assert ask(f"{made.admin}/hold", "POST", body, {**form, "Host": "evil.example"})[0] == 421
    assert made.api("/api/v1/hold")["holds"] == []
    visitor.page.get_by_role("button", name="Log out").click()
    visitor.page.wait_for_url("**/login")
    status, headers, page = ask(f"{made.admin}/people", headers={"Cookie": cookie})
    assert "Log in" in page, "whoever kept the cookie is asked to log in"


def test_an_unknown_path_is_a_page_with_a_way_back(visit):
    visitor = visit()
    assert visitor.page.goto(visitor.made.admin + "/nowhere").status == 404
    visitor.page.get_by_role("link", name="Back to the first page").click()
    visitor.page.wait_for_url(visitor.made.admin + "/")
