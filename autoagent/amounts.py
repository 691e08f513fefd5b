"""Sums of money and spans of time as people and options write them."""


def money(usd: float) -> str:
    """ "$1.50"; four digits below a cent, so that small sums aren't shown as nothing."""
    return f"${usd:.2f}" if usd >= 0.01 or usd == 0 else f"${usd:.4f}"


def duration(seconds: float) -> str:
    """ "90s", "30m", "1h30m": as --max-time takes it."""
    whole = round(seconds)
    if whole < 120 or whole % 60:
        return f"{whole}s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}h{minutes}m" if hours and minutes else f"{hours}h" if hours else f"{minutes}m"
