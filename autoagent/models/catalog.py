"""Prices and windows of models, from the tables that genai-prices ships; nothing is fetched."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autoagent.model import ModelCard, Price
from autoagent.models.address import checked_url

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

OPENAI_URL = "https://api.openai.com/v1"
WORKING_TOKENS = 32_768  # where prices rise with the prompt, the tier of our own window counts


def look_up(model: str, base_url: str | None = None) -> ModelCard:
    """What the tables say of `model` at that address; None for what they don't say.

    The address decides, never the name alone: only a provider's own host, over https, has
    its prices. A server on this machine, a gateway of one's own and any host that merely
    looks like a provider's get neither price nor window. On Azure the name of the
    deployment is taken for the model's. ConfigError for what isn't an address.
    """
    provider = _provider(checked_url(base_url or OPENAI_URL))
    found = _found(model, provider) if provider else None
    if found is None:
        return ModelCard(model)
    return ModelCard(model, window=found.context_window or None, price=_price(found))


def _provider(base_url: str) -> "Provider | None":
    parts = urlsplit(base_url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    from genai_prices.data_snapshot import get_snapshot

    host, path = f"https://{parts.hostname}", parts.path.strip("/")
    for provider in get_snapshot().providers:
        if _is_at(provider.api_pattern, host, path):
            return provider
    return None


def _is_at(pattern: str, host: str, path: str) -> bool:
    """Whether a provider's pattern means this host.

    The patterns are open at their ends: matched as they are, api.openai.com.example and
    example.com/x.googleapis.com would pass. So the whole host must match; a pattern with a
    path counts only when it spells the host out.
    """
    whole = pattern + "[a-z]+" if pattern.endswith(r"\.") else pattern
    if re.fullmatch(whole, host) or re.fullmatch(whole, host + "/"):
        return True
    spelled = pattern.startswith(re.escape(host) + "/")
    return spelled and bool(re.match(pattern, f"{host}/{path}/"))


def _found(model: str, provider: "Provider") -> "ModelInfo | None":
    from genai_prices.data_snapshot import get_snapshot

    return provider.find_model(model, all_providers=get_snapshot().providers)


def _price(model: "ModelInfo") -> Price | None:
    prices: Any = model.get_prices(datetime.now(UTC))
    prompt = _dollars(prices.input_mtok)
    completion = _dollars(prices.output_mtok)
    cached = _dollars(prices.cache_read_mtok)
    if completion is None and "embed" in model.id:
        completion = 0.0  # an embedding has no completion
    if prompt is None or completion is None:
        return None
    return Price(prompt, prompt if cached is None else cached, completion)


def _dollars(price: Any) -> float | None:
    """A price per million tokens: a number, or one that has tiers by the prompt's length."""
    if price is None:
        return None
    tiers = getattr(price, "tiers", None)
    if tiers is None:
        return float(price)
    reached = [tier.price for tier in tiers if tier.start < WORKING_TOKENS]
    return float(reached[-1] if reached else price.base)
