"""How long something took or is ago, in words: short in tables, exact where one duration is looked at."""

from datetime import timedelta

_MINUTE = 60


def short(time: timedelta) -> str:
    """Give it coarsely, such as 3d4h, 2h5m, 12m or 45s; a time that lies ahead has a minus."""
    sign, days, hours, minutes, seconds = _parts(int(time.total_seconds()))
    if days:
        text = f"{days}d{hours}h" if hours else f"{days}d"
    elif hours:
        text = f"{hours}h{minutes}m" if minutes else f"{hours}h"
    else:
        text = f"{minutes}m" if minutes else f"{seconds}s"
    return sign + text


def exact(time: timedelta) -> str:
    """Give it to the second, below a minute to the millisecond, such as 6 min 12 s or 0.25 s."""
    total = time.total_seconds()
    if abs(total) < _MINUTE:
        return f"{total:.3f}".rstrip("0").rstrip(".") + " s"
    sign, days, hours, minutes, seconds = _parts(round(total))
    named = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    return sign + " ".join(f"{number} {unit}" for number, unit in named if number)


def _parts(seconds: int) -> tuple[str, int, int, int, int]:
    minutes, second = divmod(abs(seconds), _MINUTE)
    hours, minute = divmod(minutes, 60)
    return "-" if seconds < 0 else "", *divmod(hours, 24), minute, second
