from .forks import starter as starter
from .messages import dumps as dumps, loads as loads
from .process import (
    Process as Process,
    RemoteError as RemoteError,
    Starter as Starter,
    Talk as Talk,
    peak_megabytes as peak_megabytes,
    wait as wait,
)
