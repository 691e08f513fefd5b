"""Azure: what its variables make of the address, the key and the names of models."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from autoagent.errors import ConfigError

HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_ENDPOINT = "AZURE_OPENAI_ENDPOINT"
_UNDATED = frozenset({"v1", "preview", "latest"})  # versions that only /openai/v1 knows
_DEPLOYMENTS = {"model": "azure_deployment", "embedding_model": "azure_embedding_deployment"}
SETTLED = ("azure_key", *_DEPLOYMENTS.values())
"""The settings that have gone into others once all is settled."""


def server(url: str | None, source: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say which server is asked, and how: base_url, api_key, azure,
    azure_version (None: the interface under /openai/v1, which has no versions).

    `url` is what base_url was set to and `source` where; `given` has the keys and the version.
    Azure is what AZURE_OPENAI_ENDPOINT named, or a host of Azure's. Its key goes nowhere else.
    """
    named = source.startswith(_ENDPOINT)
    if url is None or not (named or (urlsplit(url).hostname or "").endswith(HOSTS)):
        azure = {"azure": False, "azure_version": None}
        return {"base_url": url, "api_key": given["api_key"], **azure}
    if "?" in url or "/deployments" in url:
        raise ConfigError(
            f"{source}: {url!r} is the address of one deployment. Give the resource's, like "
            "https://NAME.openai.azure.com, and the deployment's name as --model "
            "(AZURE_OPENAI_DEPLOYMENT)."
        )
    root = url.rstrip("/").removesuffix("/openai/v1").removesuffix("/openai")
    undated = url.rstrip("/").endswith("/openai/v1") or given["azure_version"] in _UNDATED
    version = None if undated else given["azure_version"]
    return {
        "base_url": root if version else f"{root}/openai/v1",
        "api_key": given["azure_key"] or given["api_key"],
        "azure": True,
        "azure_version": version,
    }


def settle(values: dict[str, Any], sources: dict[str, str]) -> None:
    """Put what counts into `values`, and where it came from into `sources`."""
    chosen = server(values["base_url"], sources["base_url"], values)
    if chosen["azure"]:
        if values["azure_key"]:
            sources["api_key"] = sources["azure_key"]
        for key, deployment in _DEPLOYMENTS.items():
            ours = (f"--{key.replace('_', '-')}", f"AUTOAGENT_{key.upper()}")
            if values[deployment] and not sources[key].startswith(ours):
                values[key], sources[key] = values[deployment], sources[deployment]
    values |= chosen
