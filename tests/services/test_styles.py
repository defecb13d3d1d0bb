"""Styles of users and of everybody, and requests that are made with them."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.db.jobs import Job
from app.domain.errors import AlreadyExists, InvalidRequest, InvalidVariables, NotFound, TooManyStyles, UnknownStyle
from app.domain.image_request import ImageRequest
from app.domain.styles import Style
from app.services import styles as service
from app.services.styles import Styles
from tests.support.harness import Harness
from tests.support.statements import recorded_statements

INK = Style("Ink", "{prompt}, {medium}", {"medium": "ink"}, "flux", {"width": 64, "seed": 2**64 - 1}, "Lines.")


@pytest.fixture
def styles(harness: Harness) -> Styles:
    """The service under test."""
    return harness.services.styles


def names(styles: Styles, user: str = "ann", *, shared: bool | None = None) -> list[str]:
    return [each.style.name for each in styles.page(user, None, 100, shared=shared).styles]


def submit(harness: Harness, style: str, user: str = "ann", **variables: str) -> Job:
    order = ImageRequest("a fox", user_id=user, style=style, variables=variables)
    return harness.services.submission.submit(order, "correlation-1").job


def test_three_plain_styles_are_everybodys_from_the_start(styles: Styles) -> None:
    page = styles.page("ann", None, 100)
    assert [(each.style.name, each.owner) for each in page.styles] == [
        ("manga", None),
        ("noir", None),
        ("watercolour", None),
    ]
    for each in page.styles:
        assert "{prompt}" in each.style.template
        assert (each.style.variables, each.style.model, each.style.parameters) == ({}, None, {})
        assert each.style.description
        assert styles.replace(None, each.style).created_at == each.created_at


def test_the_plain_styles_can_be_removed(styles: Styles) -> None:
    for name in ("noir", "Manga", "WATERCOLOUR"):
        styles.remove(None, name)
    assert names(styles) == []
    with pytest.raises(NotFound):
        styles.remove(None, "noir")


def test_a_style_is_stored_as_it_was_defined(styles: Styles) -> None:
    created = styles.create("ann", INK)
    assert created.style == INK
    assert created.owner == "ann"
    assert created.created_at == created.updated_at > 0
    assert styles.find("ann", "iNK") == created


def test_a_users_styles_are_their_own(styles: Styles) -> None:
    styles.create("ann", INK)
    styles.create("bob", dataclasses.replace(INK, template="bob's {prompt}, {medium}"))
    assert styles.find("bob", "ink").style.template == "bob's {prompt}, {medium}"
    styles.remove("bob", "ink")
    assert styles.find("ann", "ink").style == INK
    with pytest.raises(NotFound):
        styles.find("bob", "ink")


@pytest.mark.parametrize("owner", ["ann", None])
def test_a_name_is_unique_for_its_owner_without_case(styles: Styles, owner: str | None) -> None:
    styles.create(owner, INK)
    with pytest.raises(AlreadyExists, match="a style INK"):
        styles.create(owner, dataclasses.replace(INK, name="INK"))
    styles.create("bob", dataclasses.replace(INK, name="INK"))


def test_of_concurrent_definitions_of_one_name_one_succeeds(styles: Styles) -> None:
    def create(number: int) -> bool:
        try:
            styles.create("ann", Style(("ink", "INK")[number % 2], "{prompt}"))
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(16))) == 1


def test_a_users_own_style_hides_everybodys_of_the_same_name(harness: Harness, styles: Styles) -> None:
    styles.create("ann", Style("Noir", "my {prompt}"))
    assert submit(harness, "NOIR").prompt == "my a fox"
    assert submit(harness, "noir", "bob").prompt.startswith("a fox, film noir")
    assert styles.find("ann", "noir").owner == "ann"
    assert styles.find("ann", "noir", shared=True).owner is None
    assert names(styles) == ["manga", "Noir", "watercolour"]
    assert names(styles, shared=False) == ["Noir"]
    assert names(styles, shared=True) == names(styles, "bob") == ["manga", "noir", "watercolour"]
    styles.remove("ann", "noir")
    assert styles.find("ann", "noir").owner is None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("shared", [None, True, False])
def test_pages_have_every_style_once_in_the_order_of_the_names(styles: Styles, limit: int, shared: bool | None) -> None:
    for owner, some in (("ann", "b NOIR d a zz"), (None, "A c B"), ("bob", "e")):
        for name in some.split(" "):
            styles.create(owner, Style(name, "{prompt}"))
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = styles.page("ann", cursor, limit, shared=shared)
        assert len(page.styles) <= limit
        found += [each.style.name for each in page.styles]
        cursor = page.cursor
        if cursor is None:
            break
    assert (
        found
        == {
            None: ["a", "b", "c", "d", "manga", "NOIR", "watercolour", "zz"],
            True: ["A", "B", "c", "manga", "noir", "watercolour"],
            False: ["a", "b", "d", "NOIR", "zz"],
        }[shared]
    )


def test_replacing_keeps_the_name_and_removes_what_is_left_out(styles: Styles) -> None:
    created = styles.create("ann", INK)
    replaced = styles.replace("ann", Style("INK", "{prompt}, pencil"))
    assert replaced.style == Style("Ink", "{prompt}, pencil")
    assert (replaced.owner, replaced.created_at) == ("ann", created.created_at)
    assert replaced.updated_at >= created.updated_at
    assert styles.find("ann", "ink") == replaced


@pytest.mark.parametrize("name", ["noir", "none", "..", "a/b", "\x00", "\ud800", "x" * 100_000])
def test_a_style_that_is_not_ones_own_is_neither_replaced_nor_removed(styles: Styles, name: str) -> None:
    with pytest.raises(NotFound, match="shared=true"):
        styles.replace("ann", Style(name, "{prompt}"))
    with pytest.raises(NotFound, match="shared=true"):
        styles.remove("ann", name)
    if name != "noir":
        with pytest.raises(NotFound):
            styles.find("ann", name)
        with pytest.raises(NotFound):
            styles.find("ann", name, shared=True)
    assert names(styles) == ["manga", "noir", "watercolour"]


def test_a_style_whose_template_and_variables_differ_is_not_stored(styles: Styles) -> None:
    styles.create("ann", INK)
    for broken in (Style("Ink", "{prompt} {light}"), Style("Ink", "{prompt}", {"light": None})):
        with pytest.raises(InvalidRequest):
            styles.replace("ann", broken)
        with pytest.raises(InvalidRequest):
            styles.create("bob", broken)
    assert styles.find("ann", "ink").style == INK


@pytest.mark.parametrize("owner", ["ann", None])
def test_an_owner_has_a_limited_number_of_styles(
    styles: Styles, owner: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STYLES_EACH", 5)
    there = len(styles.page("ann", None, 100, shared=owner is None).styles)
    for number in range(5 - there):
        styles.create(owner, Style(f"s{number}", "{prompt}"))
    with pytest.raises(TooManyStyles, match="5 styles, the most allowed"):
        styles.create(owner, Style("one more", "{prompt}"))
    styles.create("bob", INK)


def test_a_request_is_stored_and_sent_as_its_style_made_it(harness: Harness, styles: Styles) -> None:
    styles.create("ann", INK)
    harness.connect()
    job = submit(harness, "ink", medium="oil {prompt}")
    assert job == harness.reload(job)
    assert (job.prompt, job.original_prompt) == ("a fox, oil {prompt}", "a fox")
    assert (job.style, job.variables) == ("Ink", {"medium": "oil {prompt}"})
    assert (job.model, job.any_model, job.parameters) == ("flux", False, INK.parameters)
    assert harness.assign() == 1
    [offer] = harness.bench.bus.sent("generate_image")
    assert (offer["prompt"], offer["model"]) == ("a fox, oil {prompt}", "flux")


def test_the_number_of_images_may_come_from_the_style(harness: Harness, styles: Styles) -> None:
    styles.create("ann", Style("three", "{prompt}", parameters={"numberOfImages": 3}))
    assert submit(harness, "three").number_of_images == 3


def test_a_request_without_a_style_has_none(harness: Harness) -> None:
    job = harness.reload(harness.submit())
    assert (job.style, job.variables, job.original_prompt) == (None, None, None)


def test_changing_or_removing_a_style_changes_no_request_that_was_made(harness: Harness, styles: Styles) -> None:
    styles.create("ann", INK)
    made = submit(harness, "ink")
    styles.replace("ann", Style("ink", "{prompt}, pencil"))
    later = submit(harness, "ink")
    styles.remove("ann", "ink")
    assert [harness.reload(job) for job in (made, later)] == [made, later]
    assert (made.prompt, later.prompt, later.model) == ("a fox, ink", "a fox, pencil", "dall-e-3")
    harness.connect(max_concurrent=2)
    harness.assign()
    assert sorted(offer["prompt"] for offer in harness.bench.bus.sent("generate_image")) == [
        "a fox, ink",
        "a fox, pencil",
    ]


@pytest.mark.parametrize(
    ("style", "named"),
    [("nior", "nior. Did you mean noir?"), ("bobs", "There are Ink, manga, noir, watercolour."), ("Inc", "mean Ink?")],
)
def test_an_unknown_style_is_refused_with_those_that_could_be_meant(
    harness: Harness, styles: Styles, style: str, named: str
) -> None:
    styles.create("ann", INK)
    styles.create("bob", Style("bobs", "{prompt}"))
    with pytest.raises(UnknownStyle) as refused:
        submit(harness, style)
    assert named in refused.value.detail
    assert harness.services.lookup.page("ann", None, None, 20).jobs == []


def test_variables_need_a_style(harness: Harness) -> None:
    with pytest.raises(InvalidVariables):
        harness.submit(variables={"light": "dusk"})


def test_a_resolver_reads_the_style_once_for_many_requests(harness: Harness, styles: Styles) -> None:
    styles.create("ann", INK)
    orders = [ImageRequest(f"a fox {number}", user_id="ann") for number in range(50)]
    with recorded_statements("styles") as statements:
        resolve = harness.bench.database.write(lambda tx: styles.resolver(tx.connection, "ann", "ink"))
        prompts = [resolve(order).prompt for order in orders]
    assert prompts == [f"a fox {number}, ink" for number in range(50)]
    assert len(statements) == 1
    with pytest.raises(InvalidVariables, match="mood"):
        resolve(dataclasses.replace(orders[0], variables={"mood": "calm"}))


def test_a_resolver_without_a_style_changes_nothing(harness: Harness, styles: Styles) -> None:
    resolve = harness.bench.database.read(lambda c: styles.resolver(c, "ann", None))
    assert resolve(ImageRequest("a {fox}")) == ImageRequest("a {fox}")
    with pytest.raises(InvalidVariables):
        resolve(ImageRequest("a fox", variables={"light": "dusk"}))
