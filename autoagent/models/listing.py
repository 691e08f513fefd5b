"""The models that a server lists, asked with the key."""

import http.client
import json
import urllib.request

from autoagent.models.address import is_local

_LARGEST_BYTES = 1 << 24


class _Staying(urllib.request.HTTPRedirectHandler):
    """The key goes to the host that was asked alone."""

    def redirect_request(self, *_: object) -> None:
        return None


def listed(
    url: str, key: str | None, *, timeout_s: float, azure_version: str | None = None
) -> list[str]:
    """The names of the server's models, in its order.

    urllib.error.HTTPError when it refuses, OSError when it doesn't answer; ValueError,
    TypeError or KeyError when what it says is no list of models.
    """
    path = f"/openai/models?api-version={azure_version}" if azure_version else "/models"
    request = urllib.request.Request(url.rstrip("/") + path)  # noqa: S310 (checked)
    if key and azure_version:
        request.add_unredirected_header("api-key", key)
    elif key:
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    ways: list[urllib.request.BaseHandler] = [_Staying()]
    if is_local(url):
        ways.append(urllib.request.ProxyHandler({}))  # none reaches this machine's own servers
    try:
        with urllib.request.build_opener(*ways).open(request, timeout=timeout_s) as answer:
            rows = json.loads(answer.read(_LARGEST_BYTES))["data"]
        return [str(row["id"]) for row in rows]
    except http.client.HTTPException as error:
        raise ConnectionError(f"no HTTP answer ({type(error).__name__})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
