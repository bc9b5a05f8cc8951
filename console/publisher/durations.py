"""How long something took or is ago, in words: short in tables, exact where one duration is looked at.

And as an option's value, for advice that can be copied.
"""

from datetime import timedelta

_MINUTE = 60
_SECOND = timedelta(seconds=1)


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
    if round(abs(total), 3) < _MINUTE:
        return f"{total:.3f}".rstrip("0").rstrip(".") + " s"
    sign, days, hours, minutes, seconds = _parts(round(total))
    named = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    return sign + " ".join(f"{number} {unit}" for number, unit in named if number)


def option(time: timedelta) -> str:
    """Give it as it can be given on the command line, such as 1m30s: to the microsecond, so that it means the same."""
    _, days, hours, minutes, seconds = _parts(time // _SECOND)
    fraction = f"{(time % _SECOND).microseconds / 1_000_000:.6f}"[1:].rstrip("0").rstrip(".")
    named = ((f"{days}", "d"), (f"{hours}", "h"), (f"{minutes}", "m"), (f"{seconds}{fraction}", "s"))
    return "".join(f"{number}{unit}" for number, unit in named if number != "0") or "0s"


def _parts(seconds: int) -> tuple[str, int, int, int, int]:
    minutes, second = divmod(abs(seconds), _MINUTE)
    hours, minute = divmod(minutes, 60)
    return "-" if seconds < 0 else "", *divmod(hours, 24), minute, second
