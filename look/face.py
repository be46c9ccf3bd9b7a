"""Gives a Flask app the common face: layout, macros, style, words, language choice, security headers."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, Flask, Response, g, request

from look import anew, moments
from look.headers import protect
from look.words import LANGUAGES, Words

COOKIE = "lang"
NAMES = {"nl": "Nederlands", "fr": "Français", "de": "Deutsch", "en": "English"}
_YEAR_S = 365 * 24 * 3600


def mount(
    app: Flask,
    words: Words,
    languages: Sequence[str] = LANGUAGES,
    *,
    default: str | Callable[[], str] | None = None,
    choose: Callable[[], str | None] | None = None,
) -> None:
    """Register templates `look/...`, files under `/look/` (endpoint `look.static`) and each page's language.

    The language is the first of: what `choose()` says, `?lang=`, the cookie `lang`, `default` (without one:
    what the browser accepts), the first of `languages`. `?lang=` is kept in the cookie.
    `g.language` has it.

    Templates get `t(key, **values)`, `t_in(language, key, **values)`, `languages`, `language_names`,
    `language()`, `anew_only(parts)`, `anew_why(code)` (look/anew.py) and the filters `day`, `short_day`,
    `clock`, `moment`, `lasting`.
    """
    blueprint = Blueprint(
        "look",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/look",
    )
    app.register_blueprint(blueprint)

    def language() -> str:
        """Of this page; found at the first question, so a refusal before any view has one too."""
        if "language" not in g:
            g.language = _language(languages, default() if callable(default) else default, choose)
        return str(g.language)

    def set_language() -> None:
        language()

    def finish(response: Response) -> Response:
        asked = request.args.get("lang", "")
        if asked in languages:
            response.set_cookie(
                COOKIE, asked, max_age=_YEAR_S, samesite="Strict", httponly=True, secure=request.is_secure
            )
        if (request.endpoint or "").rpartition(".")[2] == "static":
            response.headers["Cache-Control"] = "no-cache"  # kept, asked again with its ETag
        return protect(response)

    app.before_request(set_language)
    app.after_request(finish)

    def t(key: str, **values: object) -> str:
        return words(key, language(), **values)

    def t_in(language: str, key: str, **values: object) -> str:
        return words(key, language, **values)

    def said(form: Callable[[Any, str], str]) -> Callable[[Any], str]:
        return lambda value: form(value, language())

    app.jinja_env.globals.update(
        t=t,
        t_in=t_in,
        languages=tuple(languages),
        language_names=NAMES,
        language=language,
        anew_only=lambda parts: anew.only(words, language(), parts),
        anew_why=lambda code: anew.why(words, language(), code),
    )
    app.jinja_env.filters.update(
        day=said(moments.day),
        short_day=said(moments.short_day),
        clock=said(moments.clock),
        moment=said(moments.moment),
        lasting=said(moments.lasting),
    )


def _language(languages: Sequence[str], default: str | None, choose: Callable[[], str | None] | None) -> str:
    candidates = (
        choose() if choose else None,
        request.args.get("lang"),
        request.cookies.get(COOKIE),
        default or request.accept_languages.best_match(languages),
    )
    return next((language for language in candidates if language and language in languages), languages[0])
