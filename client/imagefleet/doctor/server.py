"""The server as it describes itself: its clock, its version, the key, its limits, and its parts as operators see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagefleet.defaults import VERSION
from imagefleet.doctor.findings import Broken, NotChecked
from imagefleet.doctor.probe import Probe, Reply
from imagefleet.errors import ImagefleetError

MOST_SKEW_S = 30.0
NEEDED = ("read", "write")  # the scopes that submitting a request and getting its pictures need
LOGIN = "Run `imagefleet login`, or set IMAGEFLEET_API_KEY to a key that the operator gave you."
TELL = "Tell the operator: `python -m app.manage doctor` on the server says why."
BY_OWNER = "Its owner disabled it"
OPERATOR_NEEDED = "an operator's key is needed (or `python -m app.manage doctor` on the server)"


def check_clock(probe: Probe) -> str:
    """The clocks of this machine and the server agree, as far as the Date header tells."""
    try:
        skew_s = probe.get("/health").skew_s
    except ImagefleetError:
        raise NotChecked("since it needs version") from None
    if skew_s is None:
        return "the server does not tell its time"
    if abs(skew_s) > MOST_SKEW_S:
        apart = f"the server is {abs(skew_s):.0f} s {'ahead of' if skew_s > 0 else 'behind'} this machine"
        raise Broken(
            "CLOCK_SKEWED", apart, "Synchronize the clock that is wrong (NTP): keys and addresses expire by it."
        )
    return f"this machine and the server agree within {max(1, round(abs(skew_s)))} s"


def check_version(probe: Probe) -> str:
    """An Imagefleet server answers there, whose version fits this client."""
    try:
        body = probe.health.body
    except ImagefleetError as error:
        remedy = "It accepts connections: look whether its web process hangs. " + TELL
        raise Broken("NO_ANSWER", error.detail, remedy) from None
    server = str(body.get("version") or "unknown")
    if server != "unknown" and _compatible(server) != _compatible(VERSION):
        remedy = "Install the client of the server's version: `pip install` it from the same release."
        raise Broken("OTHER_VERSION", f"the server is {server}, this client is {VERSION}", remedy)
    return f"the server is {server}, this client is {VERSION}"


def _compatible(version: str) -> list[str]:
    """What two versions have in common that fit together: the first number, and while that is 0, the second one too."""
    parts = version.split(".")
    return parts[: 2 if parts[0] == "0" else 1]


def check_key(probe: Probe) -> str:
    """It is valid, and suffices to submit requests and get their pictures; or none is needed."""
    me = _me(probe)
    if "credential" not in me:
        return "no key is sent, and none is needed" if not me.get("credentialRequired") else "no key is sent"
    credential, scopes = me["credential"], [str(each) for each in me.get("scopes", ())]
    missing = [scope for scope in NEEDED if scope not in scopes and (scope != "read" or "admin" not in scopes)]
    who = f"{credential.get('kind', 'key')} of {me.get('userId') or me.get('extensionId')} ({me.get('role')})"
    if missing:
        detail = f"the {who} has not the scope {' and '.join(missing)}"
        remedy = "Ask the operator for a key with the scopes read and write, or use --no-picture to examine the rest."
        raise Broken("SCOPE_MISSING", detail, remedy)
    ends = f", valid until {credential['expiresAt']}" if credential.get("expiresAt") else ""
    return f"{who} with the scopes {', '.join(scopes)}{ends}"


def check_limits(probe: Probe) -> str:
    """Something is left of the rate limit and of each quota."""
    me = _me(probe)
    rate, quotas = me.get("rate"), me.get("quotas") or []
    if rate and not rate["remaining"]:
        detail = f"no request may be submitted at the moment, of {rate['limit']} at once"
        raise Broken("RATE_LIMIT", detail, f"Wait: all may be again at {rate['fullAt']}.")
    used_up = [each for each in quotas if not each["remaining"]]
    if used_up:
        named = ", ".join(f"{each['name']} ({each['used']} of {each['limit']})" for each in used_up)
        raise Broken(
            "QUOTA_EXCEEDED", f"used up: {named}", "Wait, cancel or remove what you do not need, or ask the operator."
        )
    left = [f"{rate['remaining']} of {rate['limit']} requests at once"] if rate else []
    left += [f"{each['remaining']} of {each['limit']} ({each['name']})" for each in quotas]
    return f"left are {', '.join(left)}" if left else "nothing is limited"


def _me(probe: Probe) -> Mapping[str, Any]:
    """Who the caller is. Raises Broken if the key is not accepted."""
    if probe.health.body.get("database") is False:
        raise NotChecked("since it needs database")
    reply = _asked(probe, "/api/me")
    if reply.status == 404:
        raise NotChecked("the server is older than this client and does not tell")
    if reply.status == 401:
        what = reply.detail if probe.has_key else "the server requires a key, and none is sent"
        raise Broken(reply.code, what, LOGIN)
    if not reply.ok:
        raise Broken(reply.code, reply.detail, TELL)
    return reply.body


def _asked(probe: Probe, path: str) -> Reply:
    try:
        return probe.get(path)
    except ImagefleetError as error:
        raise Broken("NO_ANSWER", error.detail, TELL) from None


# What the health says of these, for who may not see the diagnosis.
HEALTH = {"database": "database", "redis": "redis", "storage": "storage"}


def check_part(probe: Probe, name: str) -> str:
    """A part of the server by this name, as its diagnosis says; by what everybody may see if the key is no operator's."""
    links = _diagnosis(probe)
    if links is None:
        return _seen_by_all(probe, name)
    link = links.get(name)
    if link is None:
        raise NotChecked("the server does not tell")
    if not link.get("checked", True):
        raise NotChecked(str(link.get("detail", "")).removeprefix("not checked, "))
    if not link.get("ok"):
        raise Broken(str(link.get("code")), str(link.get("detail")), str(link.get("remedy") or TELL))
    return str(link.get("detail"))


def _diagnosis(probe: Probe) -> Mapping[str, Mapping[str, Any]] | None:
    """The links by their names; None if this caller may not see them, or if they cannot be seen now."""
    try:
        reply = probe.get("/api/diagnostics")
    except ImagefleetError:
        return None
    links = reply.body.get("links") if reply.ok else None
    return {str(each.get("name")): each for each in links} if isinstance(links, list) else None


def _seen_by_all(probe: Probe, name: str) -> str:
    health = probe.health.body
    if name in HEALTH:
        if not health.get(HEALTH[name]):
            raise Broken(f"{name.upper()}_UNAVAILABLE", f"the server reports that its {name} does not work", TELL)
        return "the server reports that it works"
    if name in {"extensions", "webhooks"} and health.get("database"):
        return _check_extensions(probe) if name == "extensions" else _check_webhooks(probe)
    raise NotChecked(OPERATOR_NEEDED if health.get("database") else "since it needs database")


def _check_extensions(probe: Probe) -> str:
    """What users see of the extensions: how many are connected and take work, and whether everything is paused."""
    info, queue = _asked(probe, "/api/websocket/info"), _asked(probe, "/api/queue")
    if not (info.ok and queue.ok):
        raise NotChecked(OPERATOR_NEEDED)
    connected, slots = info.body.get("activeConnections"), queue.body.get("slots") or {}
    if not connected:
        raise Broken("NO_EXTENSION", "no extension is connected", "Connect one, or ask the operator to.")
    for pause in queue.body.get("paused") or ():
        if pause.get("scope") == "all":
            note = f": {pause['note']}" if pause.get("note") else ""
            raise Broken(
                "PAUSED_ALL", f"the operator has paused the queue{note}", "Wait, or ask the operator to resume it."
            )
    if not slots.get("extensions"):
        detail = f"{connected} connected, of which none takes work: they are paused, or rest after a failure"
        raise Broken("NOT_ACCEPTING", detail, "Wait, or ask the operator.")
    return f"{connected} connected; {slots.get('busy')} of {slots.get('total')} slots are busy"


def _check_webhooks(probe: Probe) -> str:
    """The caller's own."""
    reply = _asked(probe, "/api/webhooks")
    if not reply.ok:
        raise NotChecked(OPERATOR_NEEDED)
    wrong = list(_wrong_webhooks(reply.body.get("webhooks") or []))
    if wrong:
        remedy = "Repair its receiver, and enable the webhook again."
        raise Broken("WEBHOOK_FAILING", "; ".join(wrong[:3]), remedy)
    return "none of yours fails"


def _wrong_webhooks(webhooks: list[Mapping[str, Any]]) -> Iterator[str]:
    for each in webhooks:
        reason = str(each.get("disabledReason") or "").rstrip(".")
        if each.get("enabled") is False and reason != BY_OWNER:
            yield f"{each.get('webhookId')} is disabled ({reason})"
        elif each.get("enabled") and each.get("failingSince"):
            yield f"every attempt of {each.get('webhookId')} fails since {each['failingSince']}"
