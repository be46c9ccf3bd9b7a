"""The layout's language, headers and pieces, in a small app of its own."""

from collections.abc import Callable

import pytest
from flask import Flask, Response, abort, render_template_string, request

import look

PAGE = """{% extends "look/page.html" %}{% block title %}T{% endblock %}{% block main %}
<h1>{{ t("look.done") }}</h1>{{ t_in("de", "look.done") }}
{{ pieces.button("Go", "primary", "next") }}{{ pieces.button("Link", href="/x") }}
{{ pieces.tile("A", "b", "card") }}
{{ pieces.field("name", "Name", value="<b>", hint="h", error="e", required=true) }}
{{ pieces.field("more", "More", rows=3) }}{{ pieces.choices("c", "C", [("a", "A")], chosen="a", error="e") }}
{{ pieces.select("s", "S", [("a", "A")]) }}{{ pieces.error_summary([("name", "wrong")]) }}
{{ pieces.note("n", "warn") }}{{ pieces.status("ok", "fine") }}{{ pieces.banner("TEST") }}
{{ pieces.task_list([("a", "done"), ("b", "current"), ("c", "ahead")], "L") }}
{{ pieces.facts([("a", "<i>")]) }}
{{ pieces.table("cap", ["h"], [("r",)]) }}{{ pieces.table("none", ["h"], []) }}
{{ pieces.progress("p", 0.25) }}
{% endblock %}"""


def app(choose: Callable[[], str | None] | None = None, default: str | None = "nl") -> Flask:
    app = Flask("small")
    app.config["TESTING"] = True

    @app.before_request
    def gate() -> None:
        if request.path == "/shut":
            abort(403)

    look.mount(app, look.Words.load(), default=default, choose=choose)
    app.add_url_rule("/", view_func=lambda: render_template_string(PAGE), endpoint="page")
    app.add_url_rule("/data", view_func=lambda: Response("x", headers={"Cache-Control": "private"}))
    app.register_error_handler(403, lambda error: (render_template_string(PAGE), 403))
    return app


def test_the_language_is_the_default_until_one_is_asked_for() -> None:
    client = app().test_client()
    assert '<html lang="nl">' in client.get("/").text
    assert '<html lang="fr">' in client.get("/?lang=fr").text
    assert '<html lang="fr">' in client.get("/").text


def test_a_language_nobody_speaks_here_is_passed_over() -> None:
    client = app().test_client()
    assert '<html lang="nl">' in client.get("/?lang=es").text
    client.set_cookie("lang", "../../etc")
    assert '<html lang="nl">' in client.get("/").text


def test_without_a_default_the_browsers_language_is_taken() -> None:
    client = app(default=None).test_client()
    assert '<html lang="de">' in client.get("/", headers={"Accept-Language": "de-BE,de;q=0.9"}).text
    assert '<html lang="nl">' in client.get("/", headers={"Accept-Language": "es"}).text


def test_a_program_may_choose_before_anybody_else() -> None:
    client = app(choose=lambda: "en").test_client()
    assert '<html lang="en">' in client.get("/?lang=fr").text


def test_a_refusal_before_every_view_has_a_language_too() -> None:
    answer = app().test_client().get("/shut?lang=de")
    assert answer.status_code == 403
    assert '<html lang="de">' in answer.text


def test_pages_are_protected_and_files_may_be_kept() -> None:
    client = app().test_client()
    page = client.get("/")
    assert page.headers["Cache-Control"] == "no-store"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    with client.get("/look/look.css") as file:
        assert file.headers["Cache-Control"] == "no-cache"
        assert file.headers["ETag"]
    assert client.get("/data").headers["Cache-Control"] == "private"


def test_nothing_on_a_page_needs_what_the_policy_refuses() -> None:
    page = app().test_client().get("/").text
    assert "style=" not in page
    assert "onclick" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_pieces_escape_what_they_are_given() -> None:
    page = app().test_client().get("/").text
    assert "&lt;b&gt;" in page
    assert "<i>" not in page


def test_an_error_is_tied_to_its_field() -> None:
    page = app().test_client().get("/").text
    assert 'aria-describedby="name-hint name-error"' in page
    assert 'href="#name"' in page


@pytest.mark.parametrize("icon", ["house", "ok", "warn", "fail", "wait", "busy", "none", "next", "card"])
def test_the_icons_pieces_use_are_in_the_file(icon: str) -> None:
    with app().test_client().get("/look/icons.svg") as file:
        assert f'id="{icon}"' in file.get_data(as_text=True)
