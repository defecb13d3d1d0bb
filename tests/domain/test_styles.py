"""Styles: templates, their variables, and what they make of requests."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain import styles
from app.domain.errors import InvalidPrompt, InvalidRequest, InvalidVariables, Refusal
from app.domain.image_request import EXTRA_PARAMETERS, PROMPT_CHARS, ImageRequest
from app.domain.styles import Style

INK = Style("ink", "{prompt}, {medium}, {light}", {"medium": "ink", "light": None}, "flux", {"width": 64, "steps": 9})


def filled(template: str, prompt: str = "a fox", **variables: str) -> str:
    style = Style("s", styles.clean_template(template), dict.fromkeys(variables))
    styles.check(style)
    return styles.resolve(style, prompt, variables).prompt


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{prompt}", "a fox"),
        ("{prompt}, noir", "a fox, noir"),
        ("noir: {prompt}", "noir: a fox"),
        ("{prompt}{prompt}", "a foxa fox"),
        ("{{{prompt}}}", "{a fox}"),
        ("{{prompt}} {prompt}", "{prompt} a fox"),
        ("{{}} {prompt}", "{} a fox"),
        ("}}{{ {prompt}", "}{ a fox"),
        ("{prompt}\x0b\u2028", "a fox\n\n"),
        ("{prompt} 水彩 🦊", "a fox 水彩 🦊"),
    ],
)
def test_a_template_is_filled_with_the_prompt(template: str, expected: str) -> None:
    assert filled(template) == expected


@pytest.mark.parametrize("text", ["{prompt}", "{light}", "{{", "}", "{", "{prompt", "%s {0} ${light} \\g<1>", "", " "])
def test_what_is_inserted_is_never_read_as_a_template(text: str) -> None:
    assert filled("{light}|{prompt}|{light}", f"a fox {text}", light=text) == f"{text}|a fox {text}|{text}"


@pytest.mark.parametrize(
    ("template", "named"),
    [
        (None, "must be a string"),
        (7, "must be a string"),
        ("", "{prompt}"),
        ("noir", "{prompt}"),
        ("{{prompt}}", "{prompt}"),
        ("{Prompt}", "{prompt}"),
        ("{prompt", "a single { as character 1"),
        ("prompt} {prompt}", "a single } as character 7"),
        ("{prompt} {", "a single { as character 10"),
        ("{prompt}}", "a single } as character 9"),
        ("{{prompt}", "a single } as character 9"),
        ("{a{prompt}}", "a single { as character 1"),
        ("{prompt} {}", "{}"),
        ("{prompt} { light }", "{ light }"),
        ("{prompt} {0}", "{0}"),
        ("{prompt} {a.b}", "{a.b}"),
        ("{prompt} {a!r}", "{a!r}"),
        ("{prompt} {a:>9999999}", "{a:>9999999}"),
        ("{prompt} {ä}", "{ä}"),
        ("{prompt} {" + "a" * 65 + "}", "{aaaa"),
        ("{prompt} {a\nb}", r"{a\nb}"),
        ("{prompt}\x00", "U+0000"),
        ("{prompt}\x1b[31m", "U+001B"),
        ("{prompt}\ud800", "U+D800"),
        ("{prompt}" + "x" * styles.TEMPLATE_CHARS, "8,008 characters"),
        ("{prompt}" * 10**6, "8,000,000 characters"),
        ("{" * 10**6, "1,000,000 characters"),
    ],
)
def test_an_invalid_template_is_refused_with_what_is_wrong(template: object, named: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        styles.clean_template(template)
    assert refused.value.detail.startswith("template ")
    assert named in refused.value.detail
    assert len(refused.value.detail) < 400


@pytest.mark.parametrize(
    ("template", "variables", "named"),
    [
        ("{prompt} {light} {mood}", ["mood"], "light"),
        ("{prompt} {Light}", ["light"], "Light"),
        ("{prompt} {style}", [], "style"),
        ("{prompt}", ["light"], "light"),
        ("{prompt} {{light}}", ["light"], "light"),
    ],
)
def test_a_template_names_exactly_the_declared_variables(template: str, variables: list[str], named: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"declares?.*: {named}\."):
        styles.check(Style("s", template, dict.fromkeys(variables)))


def test_a_style_whose_template_names_the_style_itself_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="does not declare: noir"):
        styles.check(Style("noir", "{prompt}, {noir}"))


def test_many_undeclared_variables_are_listed_up_to_ten() -> None:
    template = "{prompt}" + "".join(f"{{v{number:02}}}" for number in range(1_000))
    with pytest.raises(InvalidRequest, match=r"v00, .*, v09 and 990 more\."):
        styles.check(Style("s", template))


@pytest.mark.parametrize("name", ["noir", "N", "9", "chapter 3", "a.b_c-d", "x" * 64])
def test_a_name_has_letters_digits_and_a_few_signs(name: str) -> None:
    assert styles.clean_name(name) == name


@pytest.mark.parametrize(
    "name", ["", " ", " a", "a ", ".", "..", "-a", "a/b", "a\n", "a\x00", "a?", "ä", "x" * 65, None, 7, ["a"], {}]
)
def test_an_invalid_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidRequest, match="name of a style"):
        styles.clean_name(name)
    with pytest.raises(InvalidRequest, match=r"^style is not the name of a style"):
        styles.clean_style(name)


BAD_VARIABLES: list[tuple[Any, str]] = [
    ([], "must be a JSON object"),
    ("light", "must be a JSON object"),
    ({"": "x"}, "a name that is not allowed"),
    ({"a b": "x"}, "a name that is not allowed: a b"),
    ({"a\n": "x"}, r"a name that is not allowed: 'a\n'"),
    ({"_a": "x"}, "a name that is not allowed: _a"),
    ({"x" * 100_000: "x"}, "a name that is not allowed: 'xxx"),
    ({"light": 7}, "variables.light must be a string"),
    ({"light": True}, "variables.light must be a string"),
    ({"light": {"a": {"a": {}}}}, "variables.light must be a string"),
    ({"light": ["x"]}, "variables.light must be a string"),
    ({"light": "x" * 1_001}, "variables.light is 1,001 characters"),
    ({"light": "x" * 10**7}, "variables.light is 10,000,000 characters"),
    ({"light": "a\x00"}, "variables.light contains the control character U+0000"),
    ({"light": "\ud800"}, "variables.light contains the lone surrogate U+D800"),
    ({f"v{number}": "x" for number in range(33)}, "33 fields"),
]


@pytest.mark.parametrize(("value", "named"), BAD_VARIABLES)
def test_invalid_variables_are_refused_by_name(value: object, named: str) -> None:
    for clean, refusal in ((styles.clean_variables, InvalidVariables), (styles.clean_declared, InvalidRequest)):
        with pytest.raises(refusal) as refused:
            clean(value)
        assert named in str(refused.value)
        assert len(str(refused.value)) < 300


def test_a_declared_variable_must_not_be_the_prompt() -> None:
    with pytest.raises(InvalidRequest, match="must not contain prompt"):
        styles.clean_declared({"prompt": "a fox"})


def test_a_variable_that_is_null_counts_as_absent_in_a_request_and_is_required_in_a_style() -> None:
    assert styles.clean_variables({"a": None, "b": "x\x0by"}) == {"b": "x\ny"}
    assert styles.clean_declared({"a": None, "b": ""}) == {"a": None, "b": ""}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "lacks what the style ink needs: light."),
        ({"medium": "oil"}, "lacks what the style ink needs: light."),
        ({"light": "dusk", "mood": "calm", "era": "x"}, "does not declare: era, mood; it has light, medium."),
        ({"Light": "dusk"}, "does not declare: Light; it has light, medium."),
        ({"light": "dusk", "prompt": "a dog"}, "does not declare: prompt; it has light, medium."),
    ],
)
def test_missing_and_unknown_variables_are_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidVariables) as refused:
        styles.resolve(INK, "a fox", variables)
    assert refused.value.detail.endswith(named)


def test_a_style_without_variables_says_so() -> None:
    with pytest.raises(InvalidVariables, match="does not declare: light; it has none"):
        styles.resolve(Style("noir", "{prompt}"), "a fox", {"light": "dusk"})


@pytest.mark.parametrize("extra", [0, 1])
def test_what_a_style_makes_is_at_most_as_long_as_a_prompt(extra: int) -> None:
    style, prompt = Style("s", "{prompt}, {prompt}"), "x" * (PROMPT_CHARS // 2 - 1)
    if not extra:
        assert len(styles.resolve(style, prompt, {}).prompt) == PROMPT_CHARS
        return
    with pytest.raises(InvalidPrompt, match="with the style s is 8,002 characters long: at most 8,000"):
        styles.resolve(style, prompt + "x", {})


def test_a_prompt_that_is_inserted_many_times_is_refused_before_it_becomes_a_huge_text() -> None:
    bomb = Style("bomb", styles.clean_template("{prompt}" * 1_000))
    with pytest.raises(InvalidPrompt, match="is 8,000,000 characters long"):
        styles.resolve(bomb, "x" * PROMPT_CHARS, {})


def test_the_model_and_parameters_of_a_request_come_before_those_of_its_style() -> None:
    order = ImageRequest("a fox", None, "ann", {"width": 32, "seed": 1}, 5_000, "INK", {"light": "dusk"})
    made = styles.apply(INK, order)
    assert (made.prompt, made.original_prompt, made.style) == ("a fox, ink, dusk", "a fox", "ink")
    assert (made.model, made.parameters) == ("flux", {"width": 32, "steps": 9, "seed": 1})
    assert (made.variables, made.user_id, made.deadline_ms) == ({"light": "dusk"}, "ann", 5_000)
    named = styles.apply(INK, ImageRequest("a fox", "dall-e-3", variables={"light": "dusk"}))
    assert named.model == "dall-e-3"


def test_a_request_without_a_style_stays_as_it_is_and_has_no_variables() -> None:
    order = ImageRequest("a {fox}", "flux")
    assert styles.apply(None, order) == order
    with pytest.raises(InvalidVariables, match="only for requests with a style"):
        styles.apply(None, ImageRequest("a fox", variables={"light": "dusk"}))


def test_a_request_and_its_style_have_at_most_as_many_parameters_as_a_request() -> None:
    style = Style("s", "{prompt}", parameters={f"s{number}": 1 for number in range(EXTRA_PARAMETERS)})
    assert len(styles.apply(style, ImageRequest("a fox", parameters={"s0": 2})).parameters) == EXTRA_PARAMETERS
    with pytest.raises(InvalidRequest, match="parameters has 51 fields with those of the style s"):
        styles.apply(style, ImageRequest("a fox", parameters={"more": 1}))


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        ("Nior", ["noir", "manga"], "Did you mean noir?"),
        ("water-colour", ["manga", "Watercolour"], "Did you mean Watercolour?"),
        ("x", ["noir", "manga"], "There are manga, noir."),
        ("x", [], "There are none: create it with POST /api/styles."),
        ("x", [f"style {number:03}" for number in range(200)], "style 009 and 190 more."),
    ],
)
def test_an_unknown_style_is_answered_with_what_could_be_meant(name: str, known: list[str], remedy: str) -> None:
    refusal: Refusal = styles.unknown(name, known)
    assert f": {name}. " in refusal.detail
    assert remedy in refusal.detail
    assert refusal.code == "ERR_UNKNOWN_STYLE"
