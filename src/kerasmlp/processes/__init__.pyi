from .forks import ForkServer as ForkServer
from .process import (
    Process as Process,
    RemoteError as RemoteError,
    Talk as Talk,
    dumps as dumps,
    loads as loads,
    peak_megabytes as peak_megabytes,
)
